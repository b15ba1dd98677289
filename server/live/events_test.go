package live_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/fakesite"
	"userkeys/site"
)

// event is one of an event stream.
type event struct{ name, id, data string }

// stream reads events as a browser does, comments apart.
type stream struct {
	f      *liveSite
	res    *http.Response
	events chan event
	others chan string // retry and comments
	leave  context.CancelFunc
}

func (f *liveSite) stream(s *httptest.Server, key, lastID string) *stream {
	f.T.Helper()
	ctx, cancel := context.WithCancel(f.T.Context())
	header := []string{"Accept", "text/event-stream"}
	if lastID != "" {
		header = append(header, "Last-Event-ID", lastID)
	}
	res, err := f.open(s, ctx, "GET", "/events", key, "", header...)
	if err != nil {
		f.T.Fatal(err)
	}
	f.T.Cleanup(func() { cancel(); _ = res.Body.Close() })
	st := &stream{f, res, make(chan event, 100), make(chan string, 100), cancel}
	go st.read()
	return st
}

func (st *stream) read() {
	defer close(st.events)
	var e event
	for lines := bufio.NewScanner(st.res.Body); lines.Scan(); {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				st.events <- e
			}
			e = event{}
		default:
			st.others <- lines.Text()
		}
	}
}

// next waits for an event of that name.
func (st *stream) next(name string) event {
	st.f.T.Helper()
	select {
	case e, ok := <-st.events:
		if !ok || e.name != name {
			st.f.T.Fatalf("the stream gave %+v (%v), want %s", e, ok, name)
		}
		if !json.Valid([]byte(e.data)) {
			st.f.T.Errorf("the data is %q", e.data)
		}
		return e
	case <-time.After(20 * time.Second):
		st.f.T.Fatalf("no event %s", name)
		return event{}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	f := busSite(t)
	s := f.live()
	f.Tell("alice", site.Notification{Type: 1})
	old := f.position(fakesite.Alice.ID)
	for _, key := range []string{"key-1", "alice"} {
		st := f.stream(s, key, "")
		if h := st.res.Header; st.res.StatusCode != 200 || h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no" {
			t.Fatalf("%d %v", st.res.StatusCode, h)
		}
		first := st.next("notification") // how it is now, and no old alert
		if !strings.HasSuffix(first.id, fmt.Sprintf(".%d", old)) || !strings.Contains(first.data, `"unread_notifications":`) {
			t.Errorf("the first event is %+v", first)
		}
		if retry := <-st.others; retry != "retry: 3000" {
			t.Errorf("first there is %q", retry)
		}
		f.told("alice", fakesite.Alice.ID)
		alert := st.next("notification-alert")
		counts := st.next("notification")
		if !strings.Contains(alert.data, `"notification_type":1`) || alert.id == counts.id || counts.id == first.id {
			t.Errorf("%+v, then %+v", alert, counts)
		}
		st.leave()
		f.listeners(0)

		// What came between the alert and the break comes again, and what came after.
		f.told("alice", fakesite.Alice.ID)
		st = f.stream(s, key, alert.id)
		again := st.next("notification-alert")
		now := st.next("notification")
		if again.id == alert.id || now.id == counts.id {
			t.Errorf("after %q: %+v, %+v", alert.id, again, now)
		}
		st.leave()
		f.listeners(0)

		// With the newest id there is nothing, until there is.
		st = f.stream(s, key, now.id)
		f.listeners(1)
		f.told("alice", fakesite.Alice.ID)
		if e := st.next("notification-alert"); e.id == now.id {
			t.Errorf("%+v", e)
		}
		if _, err := fmt.Sscanf(st.next("notification").id, "%d.%d", new(int64), &old); err != nil {
			t.Error(err)
		}
		st.leave()
		f.listeners(0)
	}
}

// TestEventIDs: an id that no stream gave begins anew, and does no harm.
func TestEventIDs(t *testing.T) {
	t.Parallel()
	f := busSite(t)
	s := f.live()
	f.Tell("alice", site.Notification{Type: 1})
	for _, id := range []string{"x", "1", "1.", ".1", "-1.-1", "1.x", "9223372036854775808.1", "1.2.3", strings.Repeat("9", 1000)} {
		st := f.stream(s, "key-1", id)
		st.next("notification")
		st.leave()
		f.listeners(0)
	}
	for _, id := range []string{"9999999999999.9999999999999"} { // of a database that is gone: told where it stands
		st := f.stream(s, "key-1", id)
		f.listeners(1)
		f.told("alice", fakesite.Alice.ID)
		if e := st.next("notification-alert"); strings.HasPrefix(e.id, "9999999999999") {
			t.Errorf("%+v", e)
		}
		st.next("notification")
		st.leave()
		f.listeners(0)
	}
	head, err := f.open(s, t.Context(), "HEAD", "/events", "key-1", "")
	if err != nil || head.StatusCode != 200 || head.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %+v, %v", head, err)
	}
	_ = head.Body.Close()
}

// TestEventsEnd: with the session, and with the server.
func TestEventsEnd(t *testing.T) {
	t.Parallel()
	f := busSite(t)
	s := f.live()
	f.Tell("bob", site.Notification{Type: 1})
	keyed, of := f.stream(s, "key-5", ""), f.stream(s, "bob", "")
	keyed.next("notification")
	of.next("notification")
	f.Identity.Forget("bob")
	f.told("bob", fakesite.Bob.ID)
	keyed.next("notification-alert")
	if e, more := <-of.events; more {
		t.Errorf("after the session ended: %+v", e)
	}
	f.Config.Bus.Close()
	keyed.next("notification")
	if e, more := <-keyed.events; more {
		t.Errorf("after the server stopped: %+v", e)
	}
	if rest, err := io.ReadAll(keyed.res.Body); err != nil || len(rest) > 0 {
		t.Errorf("it did not end in order: %q, %v", rest, err)
	}
}
