package live_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"userkeys/internal/testkit/fakesite"
	"userkeys/internal/testkit/nettest"
	"userkeys/server/live"
	"userkeys/site"
)

// TestQuietAnswersEnd: an answer that waited in vain as long as the server ships with ends with its last chunk
// (RFC 9112 7.1). Without it fetch, curl and most libraries report a failed request.
func TestQuietAnswersEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, request string
		above         int
		after         time.Duration
		body          string
	}{
		{"a poll in parts", "POST " + busAddress + " HTTP/1.1\r\n", live.DefaultParkAbove, live.PollTime, "[]" + live.PartEnd},
		{"a parked poll in parts", "POST " + busAddress + " HTTP/1.1\r\n", -1, live.PollTime, "[]" + live.PartEnd},
		{"a poll that waits for one answer", "POST " + busAddress + " HTTP/1.1\r\nDont-Chunk: true\r\n", live.DefaultParkAbove, live.PollTime, "[]\n"},
		{"a parked poll that waits for one answer", "POST " + busAddress + " HTTP/1.1\r\nDont-Chunk: true\r\n", -1, live.PollTime, "[]\n"},
		{"an event stream", "GET /events HTTP/1.1\r\nLast-Event-ID: 0.0\r\n", live.DefaultParkAbove, live.Heartbeats * live.Heartbeat, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := busSite(t, parkingAbove(tt.above))
				f.pipes = nettest.ListenPipe()
				conn := f.dial(f.live())
				began, body := time.Now(), "/notification/1=0"
				if tt.after != live.PollTime {
					body = ""
				}
				fmt.Fprintf(conn, "%sHost: site.example\r\nUser-Api-Key: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", tt.request, fakesite.KeyText("key-1"), len(body), body)
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || res.StatusCode != http.StatusOK {
					t.Fatalf("%+v, %v", res, err)
				}
				text, err := io.ReadAll(res.Body)
				if err != nil {
					t.Errorf("it ends with %v after %q", err, text)
				}
				if took := time.Since(began); took != tt.after {
					t.Errorf("it took %v, want %v", took, tt.after)
				}
				if tt.body != "" && string(text) != tt.body {
					t.Errorf("it is %q", text)
				}
			})
		})
	}
}

// TestLateNewsEnds: the same after news that came long before the end.
func TestLateNewsEnds(t *testing.T) {
	t.Parallel()
	for name, above := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := busSite(t, parkingAbove(above))
				f.pipes = nettest.ListenPipe()
				conn := f.dial(f.live())
				body := "/notification-alert/1=0"
				fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: site.example\r\nUser-Api-Key: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", busAddress, fakesite.KeyText("key-1"), len(body), body)
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					time.Sleep(live.PollTime - (10 * time.Second) - time.Second)
					f.Tell("alice", site.Notification{Type: 1})
					f.Config.Bus.Changed(fakesite.Alice.ID)
				}()
				text, err := io.ReadAll(res.Body)
				if err != nil || strings.Count(string(text), live.PartEnd) != 2 || !strings.Contains(string(text), "/notification-alert/1") {
					t.Errorf("it ends with %v after %q", err, text)
				}
			})
		})
	}
}
