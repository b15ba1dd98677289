package discourse_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/discourse"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.New)
	a := app{t: t, s: s, key: s.Mint("alice", "write")}
	const path = "/about.json"

	s.Fail(discourse.Fault{Path: path, Times: 2, Status: 502, Body: "<html>", Header: http.Header{"Content-Type": {"text/html"}}})
	s.Fail(discourse.Fault{Path: path, Method: "GET", Body: `{"about":`})
	a.get("/latest.json").must(t, 200)
	for range 2 {
		if r := a.get(path).must(t, 502, "<html>"); r.Header.Get("Content-Type") != "text/html" {
			t.Errorf("Content-Type %q", r.Header.Get("Content-Type"))
		}
	}
	if r := a.get(path).must(t, 200); r.body != `{"about":` {
		t.Errorf("broken JSON: %q", r.body)
	}
	a.get(path).must(t, 200, "Stand-in")

	s.Fail(discourse.Fault{HugeBody: 1 << 20})
	if r := a.get(path).must(t, 200); len(r.body) != 1<<20 {
		t.Errorf("the body has %d bytes", len(r.body))
	}
	s.Fail(discourse.Fault{RedirectTo: "https://elsewhere.example/"})
	if r := a.get(path).must(t, 302); r.Header.Get("Location") != "https://elsewhere.example/" {
		t.Errorf("Location %q", r.Header.Get("Location"))
	}
	s.Fail(discourse.Fault{Path: path, Status: 500})
	if p, err := s.Browser("alice").Open(path); err != nil || p.Status != 200 {
		t.Errorf("the browser was not spared: %d %v", p.Status, err)
	}
}

// TestCuts: a lost answer leaves what the request did.
func TestCuts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault discourse.Fault
		keys  int
	}{
		{"before", discourse.Fault{Cut: discourse.CutBefore}, 1},
		{"after", discourse.Fault{Cut: discourse.CutAfter}, 2},
		{"middle", discourse.Fault{Cut: discourse.CutMiddle}, 2},
		{"middle of a fault", discourse.Fault{Cut: discourse.CutMiddle, HugeBody: 100000}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, discourse.Middle)
			a := app{t: t, s: s, key: s.Mint("alice", "write")}
			s.Fail(tt.fault)
			if r, err := a.send("POST", "/user-api-key.json", asked()); err == nil {
				t.Errorf("answered with %d: %.200s", r.StatusCode, r.body)
			}
			if got := len(s.Keys()); got != tt.keys {
				t.Errorf("%d keys, want %d", got, tt.keys)
			}
			s.Fail(discourse.Fault{Path: busPath, Cut: tt.fault.Cut})
			if tt.fault.Cut == discourse.CutAfter {
				if _, err := a.bus(busPath+"?dlp=t", nil); err == nil {
					t.Error("the poll was answered")
				}
			}
		})
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.Middle)
	a := app{t: t, s: s, key: s.Mint("alice", "read")}
	s.Fail(discourse.Fault{Path: "/about.json", Delay: time.Minute})
	done := make(chan error, 1)
	go func() {
		_, err := a.send("GET", "/about.json", nil)
		done <- err
	}()
	for s.Count("GET", "/about.json") == 0 {
		time.Sleep(time.Millisecond)
	}
	for waited := false; !waited; {
		s.Clock.Pass(20 * time.Second) // whenever the delay began, it ends
		select {
		case err := <-done:
			if waited = true; err != nil {
				t.Error(err)
			}
		case <-time.After(time.Millisecond):
		}
	}
	if got := s.Requests()[0]; got.Status != 200 || got.Header.Get("User-Api-Key") == "" || got.Query == nil {
		t.Errorf("request %+v", got)
	}
}

// TestRunningClock: a clock that nobody stopped goes on by itself.
func TestRunningClock(t *testing.T) {
	t.Parallel()
	s := discourse.Start(t, discourse.New)
	s.Fail(discourse.Fault{Delay: 10 * time.Millisecond})
	begin := s.Clock.Now()
	app{t: t, s: s}.get("/about.json").must(t, 200)
	if passed := s.Clock.Now().Sub(begin); passed < 10*time.Millisecond {
		t.Errorf("%v passed", passed)
	}
	s.Clock.Pass(time.Hour)
	if passed := s.Clock.Now().Sub(begin); passed < time.Hour {
		t.Errorf("%v passed", passed)
	}
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	failed int
}

func (r *recorder) Errorf(string, ...any) { r.failed++ }

// TestMistakes: a test that arranges what does not exist fails.
func TestMistakes(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	s := discourse.Start(r, discourse.New)
	s.Set("no_such_setting", "")
	s.Mint("nobody")
	s.Revoke(1)
	s.Notify("nobody", discourse.Notification{})
	s.ChangeUser("nobody", func(*discourse.User) {})
	if r.failed != 5 {
		t.Errorf("%d of 5 mistakes were told", r.failed)
	}
}

// TestBadBodies: what cannot be read is refused.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	s := newSite(t, discourse.New)
	w := httptest.NewRequest("POST", s.URL+"/user-api-key/device/poll.json", strings.NewReader("{"))
	w.RequestURI = ""
	w.Header.Set("Content-Type", "application/json")
	res, err := client.Do(w)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 400 {
		t.Errorf("status %d", res.StatusCode)
	}
}
