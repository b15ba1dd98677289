package docs_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys/internal/testkit"
)

// flow is how a program asks the person.
type flow string

const (
	loopback flow = "loopback"
	device   flow = "device"
	paste    flow = "paste"
)

// program is one of the programs of apps.md.
type program struct {
	file string
	flow flow
	find func(t *testing.T) []string // the command that runs the file, which is its last argument
}

var codeBlock = regexp.MustCompile("(?ms)^```[a-z]+ ((?:hello|five)\\.[a-z]+)\n(.*?)^```$")

// snippets are the programs of apps.md as they stand there, by the name of their file.
func snippets(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, m := range codeBlock.FindAllSubmatch(read(t, "apps.md"), -1) {
		found[string(m[1])] = string(m[2])
	}
	return found
}

// run is a program that runs.
type run struct {
	program
	home, temp string
	told       string // what the person is to do
	pasted     string

	t     *testing.T
	in    io.WriteCloser
	lines chan string
	ended chan error

	mu       sync.Mutex
	out, all bytes.Buffer
}

// start runs the program with a home of its own. It is killed with the test if it still runs.
func (p program) start(t *testing.T, site, home string) *run {
	t.Helper()
	r := &run{program: p, home: home, temp: t.TempDir(), t: t, lines: make(chan string, 100), ended: make(chan error, 1)}
	file := filepath.Join(t.TempDir(), p.file)
	if err := os.WriteFile(file, []byte(snippets(t)[p.file]), 0o600); err != nil {
		t.Fatal(err)
	}
	command := append(p.find(t), file)
	if p.file == "hello.go" {
		command = []string{builtGo(t, p.file, snippets(t)[p.file])}
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "SITE="+site, "HOME="+home, "TMPDIR="+r.temp, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "PYTHONDONTWRITEBYTECODE=1")
	cmd.WaitDelay = 10 * time.Second
	var err error
	if r.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	said, pipe := io.Pipe()
	cmd.Stdout, cmd.Stderr = pipe, writer(r.hearError)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{})
	go func() { r.hear(said); close(heard) }()
	go func() {
		err := cmd.Wait()
		_ = pipe.Close() // of memory
		<-heard
		r.ended <- err
	}()
	return r
}

// writer makes a function an io.Writer.
type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

func (r *run) hearError(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.Write(p)
}

func (r *run) hear(said io.Reader) {
	defer close(r.lines)
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		r.mu.Lock()
		r.out.WriteString(lines.Text() + "\n")
		r.all.WriteString(lines.Text() + "\n")
		r.mu.Unlock()
		r.lines <- lines.Text()
	}
}

// line waits for the line that begins with prefix.
func (r *run) line(prefix string) string {
	r.t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("it ended too early:\n%s", r.everything())
			}
			if strings.HasPrefix(line, prefix) {
				return line
			}
		case <-late:
			r.t.Fatalf("it did not say %q:\n%s", prefix, r.everything())
		}
	}
}

// paste types text as the person at the terminal.
func (r *run) paste(text string) {
	r.t.Helper()
	r.pasted = text
	if _, err := io.WriteString(r.in, text+"\n"); err != nil {
		r.t.Fatal(err)
	}
}

// wait waits for the end of the program, whose standard input stays open: as at a terminal, nothing but the program ends it.
func (r *run) wait() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(time.Minute):
		r.t.Fatalf("it does not end:\n%s", r.everything())
		return nil
	}
}

func (r *run) stdout() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

// everything is what it wrote to standard output and standard error.
func (r *run) everything() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all.String()
}

// without skips the test, or fails it where CI=true promises to skip nothing.
func without(t *testing.T, what string) []string {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("there is no %s, and CI=true skips nothing", what)
	}
	t.Skipf("there is no %s: a program of the pages is not run (scripts/setup installs it)", what)
	return nil
}

func findGo(t *testing.T) []string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		return without(t, "go")
	}
	return nil
}

// goBuilds are the Go programs that were built: func() (string, error) by the name of the file.
var (
	goBuilds   sync.Map
	goBuildDir string
)

func TestMain(m *testing.M) {
	flag.Parse()
	testkit.LeaveKeychain()
	// Programs that ask for a code, or meet a limit, spend their time waiting: more of them fit beside each other than there are processors.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "userkeys-docs-")
	if err != nil {
		panic(err)
	}
	goBuildDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir) // a left-over in the temporary folder harms nobody
	os.Exit(code)
}

// builtGo is a Go program, built once, beside the packages of this module.
func builtGo(t *testing.T, name, text string) string {
	t.Helper()
	once, _ := goBuilds.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		file := filepath.Join(goBuildDir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return "", err
		}
		made := strings.TrimSuffix(file, ".go")
		if said, err := exec.Command("go", "build", "-o", made, file).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w\n%s", err, said)
		}
		return made, nil
	}))
	file, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func findNode(t *testing.T) []string {
	t.Helper()
	if node() == "" {
		return without(t, "node 20")
	}
	return []string{node()}
}

// node is the Node that runs the programs; empty if there is none. It prefers the one that comes with the npm packages,
// because that of the system may be too old.
var node = sync.OnceValue(func() string {
	const fit = `process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)`
	own, err := filepath.Abs("../testdata/apps/node_modules/.bin/node")
	if err != nil {
		return ""
	}
	for _, node := range []string{own, "node"} {
		if exec.Command(node, "-e", fit).Run() == nil {
			return node
		}
	}
	return ""
})

func findPython(t *testing.T) []string {
	t.Helper()
	if python() == "" {
		return without(t, "python3 with the package cryptography")
	}
	return []string{python()}
}

// python is the first Python that has the package cryptography; empty if there is none. The one on PATH may be another
// than the one that the system's packages belong to. It says itself where it is, because a shim on PATH looks into the
// home, which is another one for the programs.
var python = sync.OnceValue(func() string {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if path, err := exec.Command(python, "-c", "import cryptography, sys; print(sys.executable)").Output(); err == nil {
			return strings.TrimSpace(string(path))
		}
	}
	return ""
})

func findShell(t *testing.T) []string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("hello.sh is for a POSIX shell")
	}
	for _, program := range []string{"bash", "openssl", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			return without(t, program)
		}
	}
	return []string{"bash"}
}
