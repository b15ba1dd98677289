package main

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli/clitest"
	"userkeys/internal/testkit"
)

// machine is a machine that never saw a site: the real program, with folders of its own.
type machine struct {
	t   *testing.T
	dir string
	env []string

	mu   sync.Mutex
	seen bytes.Buffer // everything that programs printed here, but for `key`
	args []string     // of every program that ran, as others on the machine see them
}

func newMachine(t *testing.T, env ...string) *machine {
	d := &machine{t: t, dir: t.TempDir()}
	d.env = append([]string{
		"HOME=" + d.dir, "TMPDIR=" + filepath.Join(d.dir, "tmp"), appkeys.ConfigDirEnv + "=" + filepath.Join(d.dir, "keys"),
		appkeys.KeystoreEnv + "=plain", "PATH=" + os.Getenv("PATH"), "BROWSER=true",
		testkit.NoKeychain,
	}, env...)
	if err := os.Mkdir(filepath.Join(d.dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

// process is a program that runs on a machine.
type process struct {
	d    *machine
	cmd  *exec.Cmd
	in   io.WriteCloser
	mu   sync.Mutex
	out  bytes.Buffer
	err  bytes.Buffer
	done chan int
}

type tee struct {
	p  *process
	to *bytes.Buffer
}

func (w tee) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.to.Write(b)
}

func (p *process) printed() (string, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String(), p.err.String()
}

func (d *machine) start(args ...string) *process {
	d.t.Helper()
	if args[0] == "login" {
		args = append(args, "--bits", "2048") // quicker to make
	}
	p := &process{d: d, cmd: exec.Command(testkit.Binary(d.t), args...), done: make(chan int, 1)}
	p.cmd.Env = d.env
	p.cmd.Stdout, p.cmd.Stderr = tee{p, &p.out}, tee{p, &p.err}
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		d.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it may have ended
	go func() {
		_ = p.cmd.Wait() // how it ended is in its state
		out, errs := p.printed()
		d.mu.Lock()
		defer d.mu.Unlock()
		if args[0] != "key" {
			d.seen.WriteString(out + errs)
		}
		d.args = append(d.args, args...)
		p.done <- p.cmd.ProcessState.ExitCode()
	}()
	return p
}

// until waits for something printed, and gives what the expression finds in it.
func (p *process) until(expression string) []string {
	p.d.t.Helper()
	re := regexp.MustCompile(expression)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		out, _ := p.printed()
		if m := re.FindStringSubmatch(out); m != nil {
			return m
		}
		select {
		case code := <-p.done:
			out, errs := p.printed()
			if m := re.FindStringSubmatch(out); m != nil {
				p.done <- code
				return m
			}
			p.d.t.Fatalf("%v ended with %d:\n%s\n%s", p.cmd.Args[1:], code, out, errs)
		default:
		}
	}
	out, errs := p.printed()
	p.d.t.Fatalf("%v never printed %s:\n%s\n%s", p.cmd.Args[1:], expression, out, errs)
	return nil
}

// ends waits for the program to end with a code, and gives its output; what it says on standard
// error must have the texts.
func (p *process) ends(code int, says ...string) string {
	p.d.t.Helper()
	select {
	case got := <-p.done:
		out, errs := p.printed()
		if got != code {
			p.d.t.Fatalf("%v ended with %d, want %d:\n%s\n%s", p.cmd.Args[1:], got, code, out, errs)
		}
		for _, text := range says {
			if !strings.Contains(errs, text) {
				p.d.t.Errorf("%v says %q, want %q", p.cmd.Args[1:], errs, text)
			}
		}
		if n := strings.Count(errs, "userkeys: "); code != 0 && n != 1 {
			p.d.t.Errorf("%v ended with %d lines: %q", p.cmd.Args[1:], n, errs)
		}
		return out
	case <-time.After(2 * time.Minute):
		p.d.t.Fatalf("%v did not end", p.cmd.Args[1:])
		return ""
	}
}

func (d *machine) run(code int, args ...string) string {
	d.t.Helper()
	return d.start(args...).ends(code)
}

// refuses runs a program that must end with a code and a line.
func (d *machine) refuses(code int, says string, args ...string) {
	d.t.Helper()
	d.start(args...).ends(code, says)
}

// login logs in by a flow; empty: the one that the program takes.
func (d *machine) login(s anySite, f client.Flow, more ...string) {
	d.t.Helper()
	args := append([]string{"login", s.address()}, more...)
	if f != "" {
		args = append(args, "--"+string(f))
	}
	p := d.start(args...)
	d.answer(s, p)
	p.ends(0)
}

// answer does what the program asks of the person.
func (d *machine) answer(s anySite, p *process) {
	d.t.Helper()
	m := p.until(shownAddress + "|" + shownCode)
	if m[3] != "" {
		if err := s.activate(m[2], m[3]); err != nil {
			d.t.Fatal(err)
		}
		return
	}
	sealed, err := s.approve(m[1])
	if err != nil {
		d.t.Fatal(err)
	}
	if sealed != "" {
		_, _ = io.WriteString(p.in, sealed+"\n") // the program says itself what it misses
	}
}

// hides looks for keys and private keys wherever they could have leaked to: what was printed, the
// arguments that others on the machine can see, files of any kind.
func (d *machine) hides(keys ...string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, secret := range append(keys, "PRIVATE KEY") {
		if len(secret) < 10 {
			d.t.Fatalf("%q is no secret", secret)
		}
		if strings.Contains(d.seen.String(), secret) {
			d.t.Errorf("a secret was printed: %.4s...", secret)
		}
		if strings.Contains(strings.Join(d.args, " "), secret) {
			d.t.Errorf("a secret was an argument: %.4s...", secret)
		}
		err := filepath.WalkDir(d.dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || slices.Contains(d.env, appkeys.KeystoreEnv+"=plain") && name == filepath.Join(d.dir, "keys", "keys.json") {
				return err // the plain store is the one place where keys may stand
			}
			content, err := os.ReadFile(name)
			if bytes.Contains(content, []byte(secret)) {
				d.t.Errorf("%s holds a secret: %.4s...", name, secret)
			}
			return err
		})
		if err != nil {
			d.t.Error(err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(d.dir, "tmp")); err != nil || len(left) != 0 {
		d.t.Errorf("left in the temporary folder: %v, %v", left, err)
	}
}

// TestHidesFinds proves that the search above finds what is there.
func TestHidesFinds(t *testing.T) {
	t.Parallel()
	for _, plant := range []func(d *machine){
		func(d *machine) { d.seen.WriteString("the key " + clitest.Key) },
		func(d *machine) { d.args = append(d.args, "-H", clitest.Key) },
		func(d *machine) {
			_ = os.WriteFile(filepath.Join(d.dir, "history"), []byte(clitest.Key), 0o600) // the search says if it is not there
		},
		func(d *machine) { _ = os.WriteFile(filepath.Join(d.dir, "tmp", "x"), nil, 0o600) },
	} {
		inner := &testing.T{}
		d := newMachine(t)
		plant(d)
		d.t = inner
		d.hides(clitest.Key)
		if !inner.Failed() {
			t.Error("a planted secret was not found")
		}
	}
}
