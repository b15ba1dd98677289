//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// stopped stops the program without ending it, as a machine without memory does: connections are taken and nothing is
// answered.
func (a *asking) stopped(t *testing.T, w *testkit.WebServer, app *testkit.App) {
	a.website.Take()
	if err := syscall.Kill(a.serve.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitStopped(t, a.serve.PID())
	got := app.Call("GET", "/a")
	if err := syscall.Kill(a.serve.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	a.mustBeDown(t, "stopped", got)
	app.Call("GET", "/a").Must(t, 200)
}

// waitStopped waits until every thread of a process has stopped: the signal returns before, and a thread that still runs
// may answer once more.
func waitStopped(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(nettest.Patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(threads) == 0 {
			t.Skip("this system does not tell whether a process has stopped")
		}
		if !slices.ContainsFunc(threads, func(file string) bool {
			stat, err := os.ReadFile(file)
			_, after, _ := strings.Cut(string(stat), ") ")
			return err == nil && !strings.HasPrefix(after, "T")
		}) {
			return
		}
	}
	t.Fatal("the program does not stop")
}

func (a *asking) mustBeDown(t *testing.T, name string, got testkit.Answer) {
	t.Helper()
	if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %d %v", name, got.StatusCode, got.Header)
	}
	a.mustBeRefusal(t, name, got)
	if reached := a.website.Take(); len(reached) > 0 {
		t.Errorf("%s: the website got %+v", name, reached)
	}
}

// TestWebServersWithoutAnAnswer has web servers ask at an address where nobody answers, or only half, or what is
// no answer. Neither keys nor strangers get to the website.
func TestWebServersWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	answers := []string{
		"HTTP/1.1 200 OK\r\nX-Userk", "", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "nonsense\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", // of a website, which is no answer to a question
	}
	eachWebServer(t, func(t *testing.T, server string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var answer atomic.Value
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, answer.Load().(string))
				_ = c.Close()
			}
		}()
		a := &asking{website: testkit.NewUpstream(t)}
		w := testkit.Recipe{Server: server, Scheme: "http", Args: []string{
			"--app", strings.TrimPrefix(a.website.URL, "http://"), "--ask", l.Addr().String(), "--listen", nettest.ReserveAddress(t),
		}}.Start(t)
		key := wireRequest{method: "GET", target: "/a", header: []string{"User-Api-Key: 0123456789abcdef0123456789abcdef"}}
		for _, text := range answers {
			answer.Store(text)
			for _, r := range []wireRequest{key, {method: "GET", target: "/a"}} {
				a.mustBeDown(t, text, r.over11(w))
			}
		}
		_ = l.Close()
		a.mustBeDown(t, "nobody listens", key.over11(w))
	})
}

// TestWebServersPagesThatHang: while the program hangs, its own paths are given up in time. The recipe waits a minute,
// which this test makes a second.
func TestWebServersPagesThatHang(t *testing.T) {
	t.Parallel()
	eachWebServer(t, func(t *testing.T, server string) {
		hangs, err := net.Listen("tcp", "127.0.0.1:0") // connections are taken by the system, and nobody reads them
		if err != nil {
			t.Fatal(err)
		}
		defer hangs.Close()
		w := testkit.Recipe{Server: server, Scheme: "http", Args: []string{
			"--app", nettest.ReserveAddress(t), "--ask", nettest.ReserveAddress(t), "--listen", hangs.Addr().String(),
		}, Change: func(recipe string) string {
			if !strings.Contains(recipe, "60s # yours") && !strings.Contains(recipe, "60s; # yours") {
				t.Error("the recipe has no time that this test could shorten")
			}
			return strings.ReplaceAll(recipe, "60s", "1s")
		}}.Start(t)
		for _, target := range []string{"/my/apps", "/healthz", "/user-api-key/new"} {
			if got := (wireRequest{method: "GET", target: target}).over11(w); got.StatusCode < 502 || got.StatusCode > 504 {
				t.Errorf("%s: %d", target, got.StatusCode)
			}
		}
	})
}
