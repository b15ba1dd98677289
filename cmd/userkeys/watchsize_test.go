//go:build linux

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/cli/clitest"
	"userkeys/internal/keystore"
)

// manySites are sites in folders of one server, each with a message bus.
func manySites(w http.ResponseWriter, r *http.Request) {
	_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case path == "user-api-key/new":
		w.Header().Set("Auth-Api-Version", "4")
	case path == "notifications/totals.json":
		_, _ = io.WriteString(w, `{"id":7,"username":"alice","unread_notifications":3,"unread_personal_messages":1}`)
	case strings.HasPrefix(path, "message-bus/"):
		if r.FormValue("/notification/7") == "-1" {
			_, _ = io.WriteString(w, `[{"channel":"/__status","message_id":-1,"data":{"/notification/7":5}}]`)
			return
		}
		select {
		case <-time.After(25 * time.Second):
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, `[]`)
	default:
		http.NotFound(w, r)
	}
}

// TestWatchingFiftySitesIsSmall holds one process that watches 50 sites below 40 MB. What it costs at
// rest is printed; two minutes of it in a long test.
func TestWatchingFiftySitesIsSmall(t *testing.T) {
	t.Parallel()
	const sites, most = 50, 40 << 10 // kB
	server := httptest.NewServer(http.HandlerFunc(manySites))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	d := newMachine(t)
	store := keystore.Open(keystore.Config{Dir: d.dir + "/keys", Keeping: keystore.Plain})
	for i := range sites {
		c := &client.Credential{Site: fmt.Sprintf("%s/s%d", server.URL, i), Username: "alice", Key: clitest.Key, Scopes: userkeys.Scopes{"notifications"}}
		if _, err := store.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	p := d.start("watch", "--json", "--no-notify")
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out, errs := p.printed()
		if strings.Count(out, `"live":true`) >= sites {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not all are watched:\n%.3000s\n%s", out, errs)
		}
	}
	rest := 5 * time.Second
	if os.Getenv("USERKEYS_LONG") != "" {
		rest = 2 * time.Minute
	}
	before := cpuTicks(t, p.cmd.Process.Pid)
	time.Sleep(rest)
	used := float64(cpuTicks(t, p.cmd.Process.Pid)-before) / 100 / rest.Seconds() * 100
	peak := kilobytes(t, p.cmd.Process.Pid, "VmHWM:")
	t.Logf("watching %d sites: at most %.1f MB, %.2f %% of a core over %v at rest", sites, float64(peak)/1024, used, rest)
	if peak > most {
		t.Errorf("watching %d sites took %d kB, more than %d", sites, peak, most)
	}
}

// kilobytes reads a line of /proc/PID/status.
func kilobytes(t *testing.T, pid int, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), name)
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// cpuTicks is the CPU time of a process so far, in hundredths of a second.
func cpuTicks(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text)[strings.LastIndexByte(string(text), ')')+1:])
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return user + system
}
