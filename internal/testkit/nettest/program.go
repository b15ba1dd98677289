package nettest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// FindProgram returns the path of a program that others wrote and distributions put into one of several places. Without
// it the test is skipped, or fails with CI=true.
func FindProgram(t testing.TB, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("there is no %s, and CI=true skips nothing", name)
	}
	t.Skipf("there is no %s (scripts/setup installs it)", name)
	return ""
}

var building sync.Mutex

// BuildProgram returns the path of a Go program that others wrote, such as example.org/tool/v2@v2.1.0. It is built from
// the Go module proxy unless it was before, which takes minutes: this is for USERKEYS_LONG=1 only.
func BuildProgram(t testing.TB, version string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	_, here, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(here), "..", "..", "..", ".cache", "programs", filepath.FromSlash(version))
	built := func() string {
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(found) != 1 {
			return ""
		}
		return found[0]
	}
	if built() == "" {
		cmd := exec.Command("go", "install", version)
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0", "GOFLAGS=")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go install %s: %v\n%s", version, err, out)
		}
	}
	if built() == "" {
		t.Fatalf("go install %s left no program in %s", version, dir)
	}
	return built()
}

// StartProgram runs a program that others wrote until the test ends, and waits until it listens on address.
func StartProgram(t testing.TB, address string, command ...string) *os.Process {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // an interrupt is ignored by what a shell started in the background
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", command[0], said.String())
		}
	})
	for deadline := time.Now().Add(Patience); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return cmd.Process
		}
		select {
		case <-ended:
			t.Fatalf("%s ended", command[0])
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// aroundNginx is what nginx needs besides what a test is about, to run in a folder without more rights than the test.
const aroundNginx = `daemon off;
pid DIR/pid;
error_log stderr warn;
worker_processes 1;
USER
events { worker_connections 256; }
http {
access_log off;
client_body_temp_path DIR/body;
proxy_temp_path DIR/proxy;
fastcgi_temp_path DIR/fastcgi;
uwsgi_temp_path DIR/uwsgi;
scgi_temp_path DIR/scgi;
CONF
}
`

// StartNginx starts nginx with conf as what stands in its http block, where DIR is a folder of the test's, and waits
// until it listens on address.
func StartNginx(t testing.TB, address, conf string) {
	t.Helper()
	program, dir, user := FindProgram(t, "nginx"), t.TempDir(), ""
	if os.Geteuid() == 0 {
		user = "user root;" // its workers must be able to write into dir
	}
	text := strings.NewReplacer("USER", user, "CONF", conf).Replace(aroundNginx)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	StartProgram(t, address, program, "-p", dir, "-c", file, "-e", "stderr")
}
