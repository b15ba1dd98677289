package testkit

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"
)

// NoKeychain is a line of the environment of every program that a test starts, unless the test is about the keychain.
// Without it programs find the session bus of the person who runs the tests, or start one, and use the keychain there.
const NoKeychain = "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent/session-bus"

// LeaveKeychain puts [NoKeychain] into the environment of this process, for TestMain.
func LeaveKeychain() {
	name, value, _ := strings.Cut(NoKeychain, "=")
	if err := os.Setenv(name, value); err != nil {
		panic(err)
	}
}

var built struct {
	once sync.Once
	path string
	err  error
}

// Binary is the path that [BuildBinary] returns.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := BuildBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// BuildBinary returns the path of the real program, which is built once per test process without cgo, as it ships.
func BuildBinary() (string, error) {
	built.once.Do(func() {
		dir, err := os.MkdirTemp("", "userkeys-test-")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "userkeys")
		_, here, _, _ := runtime.Caller(0)
		cmd := exec.Command("go", "build", "-o", built.path, "./cmd/userkeys")
		cmd.Dir = filepath.Join(filepath.Dir(here), "..", "..")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("building the program: %w\n%s", err, out)
		}
	})
	return built.path, built.err
}

// CleanUpBinary removes what [Binary] built; for TestMain.
func CleanUpBinary() {
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path)) // a left-over in the temporary folder harms nobody
	}
}

// Process is a running `userkeys serve`.
type Process struct {
	URL   string
	Ready time.Duration // how long it took from start to ready

	cmd    *exec.Cmd
	dial   http.RoundTripper
	output bytes.Buffer
	ended  chan error
}

// Serve starts `userkeys serve` on a free port with more arguments, and waits
// until it is ready. It is killed with the test if it still runs.
func Serve(t testing.TB, args ...string) *Process {
	t.Helper()
	return ServeAt(t, nettest.ReserveAddress(t), args...)
}

// ServeAt is [Serve] on an address that others had to know before.
func ServeAt(t testing.TB, addr string, args ...string) *Process {
	t.Helper()
	p := &Process{URL: "http://" + addr, dial: http.DefaultTransport}
	return p.start(t, append([]string{"serve", "--listen", addr}, args...))
}

// ServeUnix is [Serve] on a Unix socket. The site is at url for whoever connects by [OverUnix].
func ServeUnix(t testing.TB, socket, url string, args ...string) *Process {
	t.Helper()
	p := &Process{URL: url, dial: OverUnix(socket)}
	return p.start(t, append([]string{"serve", "--listen", "unix:" + socket, "--url", url}, args...))
}

// OverUnix sends every request to a Unix socket.
func OverUnix(socket string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
}

func (p *Process) start(t testing.TB, args []string) *Process {
	t.Helper()
	p.ended = make(chan error, 1)
	p.cmd = exec.Command(Binary(t), args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(p.Kill)
	if err := p.waitReady(t.Context()); err != nil {
		p.Kill()
		t.Fatalf("%v; it said:\n%s", err, p.output.String())
	}
	p.Ready = time.Since(began)
	return p
}

func (p *Process) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nettest.Patience)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, "GET", p.URL+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := p.dial.RoundTrip(r)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-p.ended:
			p.ended <- err
			return fmt.Errorf("the server ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Kill ends the process as kill -9 does and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	err := <-p.ended
	p.ended <- err
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop ends the process as a service manager does, and gives what it said.
func (p *Process) Stop(t testing.TB) string {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		p.ended <- err
		if err != nil {
			t.Errorf("stopped: %v", err)
		}
	case <-time.After(nettest.Patience):
		t.Error("it does not stop")
		p.Kill()
	}
	return p.output.String()
}

// Run runs the program once with args and standard input, and gives its standard output.
func Run(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), Binary(t), args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("userkeys %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// At is the outside view of a site that runs elsewhere, for [Site.Visitor],
// [Site.Person] and [Site.App]: its inside is not to be used.
func At(t testing.TB, url string) *Site { return &Site{URL: url, t: t} }
