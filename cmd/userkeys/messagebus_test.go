package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys/internal/sitecmd/sitedata"
	"userkeys/internal/testkit"
	"userkeys/notify"
	"userkeys/site"
	"userkeys/store"
)

// bus is a website that has a message bus, with one message for whoever polls
// with the identity that only the proxy can give.
func bus(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Api-Key") != "" {
			t.Error("the website was given the key")
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fields, err := url.ParseQuery(string(body))
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if err != nil || r.Header.Get("Dont-Chunk") != "true" || !strings.HasPrefix(r.URL.Path, "/message-bus/") || !strings.HasSuffix(r.URL.Path, "/poll") {
			t.Errorf("%s %s: %q, %v", r.Method, r.URL, body, r.Header)
		}
		if fields.Get("/notification/1") != "0" { // it has seen the message
			_, _ = io.WriteString(w, "[]")
			return
		}
		_, _ = io.WriteString(w, `[{"global_id":1,"message_id":1,"channel":"/notification/1","data":{"for":"`+r.Header.Get("X-Userkeys-Username")+`"}}]`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestMessageBusClientOfOurs: the official message bus client, unchanged, hears of notifications that another process
// writes, in each of its ways to poll, and stops when the key is revoked.
func TestMessageBusClientOfOurs(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"dlp", "once", "parts"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			testkit.Run(t, testkit.Password+"\n", "user", "add", "--init", "alice", "--password-stdin", "--data", data)
			for _, s := range []string{"max_user_api_reqs_per_minute", "max_user_api_reqs_per_user_per_minute"} {
				testkit.Run(t, "", "settings", "set", s, "1000", "--data", data)
			}
			s := testkit.At(t, testkit.Serve(t, "--data", data).URL)
			app := s.App("bus", "notifications").Connect(s.Person("alice"))
			_, heard := npmApp(t, "message_bus.cjs", s.URL, app.Key.Reveal(), "/notification/1,/notification-alert/1", mode)
			tell := tellAlice(t, data)
			began := tell(1)
			first := heardOf(t, heard, 1)
			t.Logf("heard after %v of what another process wrote", time.Since(began))
			// The client comes back 15 seconds after a poll of one answer in vain, but at once after one with news.
			tell(2)
			second := heardOf(t, heard, 2)
			if inOne := first == second; inOne != (mode == "parts") {
				t.Errorf("heard in the polls %v and %v", first, second)
			}
			app.Call("POST", "/user-api-key/revoke").Must(t, http.StatusOK)
			if diff := cmp.Diff(map[string]any{"refused": 403.0}, heard()); diff != "" {
				t.Errorf("after the revocation (-want +got):\n%s", diff)
			}
		})
	}
}

// tellAlice writes notifications into a site's data, as a process of its own does: with the number as their topic.
func tellAlice(t *testing.T, data string) func(n int64) (began time.Time) {
	t.Helper()
	db, err := sitedata.OpenSQLite(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	st, err := store.Open(t.Context(), db, store.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	in := notify.Open(notify.Config{Store: st})
	return func(n int64) time.Time {
		t.Helper()
		began := time.Now()
		if _, err := in.Add(t.Context(), site.Announcement{Usernames: []string{"alice"}, Caller: testkit.Command, Notification: site.Notification{
			Type: 1, TopicID: n, PostNumber: 1, Slug: "t", Data: json.RawMessage(`{"topic_title":"Hello","excerpt":"a \r\n|\r\n b"}`),
		}}); err != nil {
			t.Fatal(err)
		}
		return began
	}
}

// heardOf hears of the notification with the number as its topic, on both channels, and tells in which poll.
func heardOf(t *testing.T, heard func() map[string]any, n float64) (poll float64) {
	t.Helper()
	seen := map[string]bool{}
	for len(seen) < 2 {
		m := heard()
		if m["channel"] == nil {
			t.Fatalf("heard %v", m)
		}
		channel, _ := m["channel"].(string)
		data, _ := m["data"].(map[string]any)
		seen[channel], poll = true, m["poll"].(float64)
		switch channel {
		case "/notification-alert/1":
			if data["topic_id"] != n || data["topic_title"] != "Hello" || data["excerpt"] != "a | b" || data["post_url"] == "" {
				t.Errorf("the alert is %v", m)
			}
		case "/notification/1":
			if data["unread_notifications"] != n || m["id"].(float64) <= 0 {
				t.Errorf("the counts are %v", m)
			}
		default:
			t.Fatalf("heard %v", m)
		}
	}
	return poll
}

// The official message bus client, unchanged, polls through the proxy with a
// key of the scope message_bus, and stops when the key is revoked.
func TestMessageBusClient(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	testkit.Run(t, testkit.Password+"\n", "user", "add", "--init", "alice", "--password-stdin", "--data", data)
	testkit.Run(t, "", "settings", "set", "max_user_api_reqs_per_minute", "1000", "--data", data)
	s := testkit.At(t, testkit.Serve(t, "--data", data, "--upstream", bus(t)).URL)
	app := s.App("bus", "message_bus").Connect(s.Person("alice"))
	_, heard := npmApp(t, "message_bus.cjs", s.URL, app.Key.Reveal(), "/notification/1")
	if diff := cmp.Diff(map[string]any{"data": map[string]any{"for": "alice"}}, heard()); diff != "" {
		t.Errorf("the first message (-want +got):\n%s", diff)
	}
	app.Call("POST", "/user-api-key/revoke").Must(t, http.StatusOK)
	if diff := cmp.Diff(map[string]any{"refused": 403.0}, heard()); diff != "" {
		t.Errorf("after the revocation (-want +got):\n%s", diff)
	}
}
