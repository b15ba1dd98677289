//go:build unix

package main

import (
	"net/http"
	"strings"
	"testing"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// TestNginxKeepsConnections holds that nginx opens no connection to the website for each request, that it repeats no
// POST on a connection that fails, and that a WebSocket has a connection of its own.
func TestNginxKeepsConnections(t *testing.T) {
	t.Parallel()
	front := nettest.ReserveAddress(t)
	a := startAsking(t, front)
	w := testkit.Recipe{Server: "nginx", Scheme: "http", Addr: front, Args: a.args, Change: func(recipe string) string {
		if !strings.Contains(recipe, "keepalive_timeout 1s; # yours") {
			t.Error("the recipe has no time that this test could make longer")
		}
		return strings.Replace(recipe, "keepalive_timeout 1s", "keepalive_timeout 60s", 1)
	}}.Start(t)
	key := "User-Api-Key: " + w.App("writer", "write").Connect(w.Person("alice")).Key.Reveal()
	reach := func(method string, status, times int, header ...string) testkit.Received {
		t.Helper()
		a.website.Take()
		wireRequest{method: method, target: "/a", header: append(header, key)}.over11(w).Must(t, status)
		got := a.website.Take()
		if len(got) != times {
			t.Fatalf("the website got %s %d times, want %d", method, len(got), times)
		}
		return got[0]
	}
	hangUp := func(status string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = c.Write([]byte(status)) // nginx may be gone
			_ = c.Close()
		}
	}

	first := reach("GET", 200, 1)
	for _, method := range []string{"GET", "POST", "PUT", "GET"} {
		if got := reach(method, 200, 1); got.From != first.From {
			t.Errorf("%s has a connection of its own", method)
		}
	}
	a.website.Say(hangUp(""))
	if got := reach("POST", 502, 1); got.From != first.From {
		t.Error("the connection was not that of before, so this shows little")
	}
	a.website.Say(hangUp("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
	if got := reach("GET", 101, 1, "Connection: Upgrade", "Upgrade: websocket"); got.Header.Get("Connection") != "upgrade" {
		t.Errorf("the website is asked for a WebSocket with %v", got.Header)
	}
	a.website.Say(nil)
	reach("GET", 200, 1)
}
