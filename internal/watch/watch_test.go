package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/keystore"
)

// A fakeSite is a site in memory, under the test's own clock, that counts its calls.
type fakeSite struct {
	perMinute, perDay int
	describes, bus    bool
	status            int    // instead of an answer, if set
	header            string // Retry-After
	reason            string

	mu      sync.Mutex
	unread  int
	calls   []time.Time // with a key
	over    string      // what was over half of a limit
	lastID  int64
	waiting chan struct{} // closed at news
	polls   int
	looks   int
}

func (s *fakeSite) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unread += n
	s.lastID++
	if s.waiting != nil {
		close(s.waiting)
		s.waiting = nil
	}
}

// charge notes a call and looks at the windows that end with it.
func (s *fakeSite) charge() {
	now := time.Now()
	s.calls = append(s.calls, now)
	for window, most := range map[time.Duration]int{time.Minute: half(s.perMinute), day: half(s.perDay)} {
		if i := len(s.calls) - 1 - most; i >= 0 && now.Sub(s.calls[i]) < window {
			s.over = fmt.Sprintf("more than %d calls, half of the limit, within %v", most, window)
		}
	}
}

func (s *fakeSite) answer(r *http.Request) (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.URL.Path == "/user-api-key/new":
		return 200, ""
	case r.URL.Path == "/.well-known/user-api-key" && s.describes:
		return 200, mustJSON(userkeys.Description{APIVersion: 4, Limits: userkeys.DescribedLimits{PerMinute: s.perMinute, PerDay: s.perDay}})
	case r.Header.Get(userkeys.KeyHeader) == "":
		return 404, ""
	}
	s.charge()
	switch {
	case s.status != 0:
		return s.status, mustJSON(map[string]string{"reason": s.reason})
	case r.URL.Path == "/notifications/totals.json":
		s.looks++
		return 200, mustJSON(map[string]any{"id": 7, "username": "alice", "unread_notifications": s.unread})
	case strings.HasPrefix(r.URL.Path, "/message-bus/") && s.bus:
		s.polls++
		return s.poll(r)
	}
	return 404, "{}"
}

// poll is called with the lock held, and lets it go while it waits.
func (s *fakeSite) poll(r *http.Request) (int, string) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	if form.Get("/notification/7") == "-1" {
		return 200, fmt.Sprintf(`[{"channel":"/__status","message_id":-1,"data":{"/notification/7":%d}}]`, s.lastID)
	}
	for end := time.Now().Add(25 * time.Second); form.Get("/notification/7") == fmt.Sprint(s.lastID); {
		if s.waiting == nil {
			s.waiting = make(chan struct{})
		}
		news := s.waiting
		s.mu.Unlock()
		var over bool
		select {
		case <-news:
		case <-time.After(time.Until(end)):
			over = true
		case <-r.Context().Done():
			over = true
		}
		s.mu.Lock()
		if over {
			return 200, "[]"
		}
	}
	return 200, fmt.Sprintf(`[{"channel":"/notification/7","message_id":%d,"data":{"unread_notifications":%d}}]`, s.lastID, s.unread)
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// fakeNet leads to sites by their host.
type fakeNet map[string]*fakeSite

func (n fakeNet) RoundTrip(r *http.Request) (*http.Response, error) {
	s := n[r.URL.Host]
	if s == nil {
		return nil, fmt.Errorf("no route to host")
	}
	status, body := s.answer(r)
	h := http.Header{"Auth-Api-Version": {"4"}}
	if s.header != "" {
		h.Set("Retry-After", s.header)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// watched makes accounts on the sites of a net.
func (n fakeNet) watched(scopes string) []Watched {
	var all []Watched
	for host := range n {
		a := keystore.Account{ID: host, Site: "https://" + host, Scopes: userkeys.Scopes(strings.Split(scopes, ","))}
		all = append(all, Watched{a, &client.Credential{Site: a.Site, Key: "0123456789abcdef0123456789abcdef", Scopes: a.Scopes}})
	}
	return all
}

// TestWatchingADayStaysBelowHalfOfEveryLimit simulates a day of many sites: 50 in a long test.
func TestWatchingADayStaysBelowHalfOfEveryLimit(t *testing.T) {
	t.Parallel()
	count := 10
	if os.Getenv("USERKEYS_LONG") != "" {
		count = 50
	}
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		sites := fakeNet{}
		for i := range count {
			s := &fakeSite{perMinute: 20, perDay: 2880, bus: i%3 == 0, describes: i%2 == 0}
			if s.describes {
				s.perMinute, s.perDay = []int{2, 20, 60}[i%3], []int{100, 2880, 20_000}[i/3%3]
			}
			sites[fmt.Sprintf("s%d.example", i)] = s
		}
		ctx, cancel := context.WithCancel(t.Context())
		var rises int
		w := New(Config{
			Accounts: sites.watched("notifications"), HTTP: &http.Client{Transport: sites},
			Risen: func(State, int) { rises++ },
		})
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		for range 24 * 60 {
			time.Sleep(time.Minute)
			for _, s := range sites {
				if random.IntN(40) == 0 {
					s.add(1)
				}
			}
			if random.IntN(10) == 0 { // the person wants to know
				w.Refresh(w.cfg.Accounts[random.IntN(count)].Account.ID)
			}
		}
		time.Sleep(time.Hour) // the rarest look is every 36 minutes
		for _, st := range w.States() {
			s := sites[st.ID]
			s.mu.Lock()
			if st.Health != Well || st.Unread != s.unread {
				t.Errorf("%s: %s %s, %d unread of %d", st.Site, st.Health, st.Says, st.Unread, s.unread)
			}
			if s.over != "" {
				t.Errorf("%s: %s", st.Site, s.over)
			}
			if s.bus != (s.polls > 10) || st.Live != s.bus {
				t.Errorf("%s: live %v after %d polls", st.Site, st.Live, s.polls)
			}
			if st.Budget.Day > half(st.Budget.PerDay) || st.Budget.PerDay != s.perDay {
				t.Errorf("%s: used %+v", st.Site, st.Budget)
			}
			s.mu.Unlock()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if rises < 3*count {
			t.Errorf("%d rises were told of", rises)
		}
	})
}

func TestWatchHearsOfNewsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		site := &fakeSite{perMinute: 60, perDay: 20_000, bus: true, describes: true}
		var heard []time.Duration
		var added atomic.Int64
		w := New(Config{
			Accounts: fakeNet{"a.example": site}.watched("notifications"), HTTP: &http.Client{Transport: fakeNet{"a.example": site}},
			Risen: func(State, int) { heard = append(heard, time.Since(time.Unix(0, added.Load()))) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		for range 5 {
			time.Sleep(17 * time.Minute)
			added.Store(time.Now().UnixNano())
			site.add(1)
		}
		time.Sleep(time.Minute)
		cancel()
		<-done
		if len(heard) != 5 {
			t.Errorf("heard %v", heard)
		}
		for _, d := range heard {
			if d > 5*time.Second {
				t.Errorf("heard %v", heard)
			}
		}
	})
}

func TestWatchTellsHowItStands(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		site   *fakeSite
		scopes string
		want   Health
		says   string
		asked  int // in an hour
	}{
		{"well", &fakeSite{}, "read", Well, "", 48},
		{"revoked", &fakeSite{status: 403, reason: "invalid key"}, "read", Dead, "log in again: userkeys login https://a.example", 1},
		{"without the scope", &fakeSite{status: 403, reason: "missing scope: notifications"}, "session_info", Dead, "lacks the scope notifications", 1},
		{"refused without a word", &fakeSite{status: 403}, "push", Dead, "userkeys doctor", 2},
		{"limited", &fakeSite{status: 429, header: "1000"}, "read", Limited, "says to wait", 4},
		{"has nothing there", &fakeSite{status: 404}, "read", Missing, "has no /notifications/totals.json", 14},
		{"out", &fakeSite{status: 502}, "read", Unreachable, "502", 7},
		{"gone", nil, "read", Unreachable, "cannot reach", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sites := fakeNet{"a.example": tt.site}
				if tt.site != nil {
					tt.site.perMinute, tt.site.perDay = 20, 2880
				}
				var told []State
				w := New(Config{
					Accounts: sites.watched(tt.scopes), HTTP: &http.Client{Transport: sites},
					Changed: func(s State) { told = append(told, s) }, Spread: func(time.Duration) time.Duration { return 0 },
				})
				ctx, cancel := context.WithTimeout(t.Context(), 59*time.Minute)
				defer cancel()
				if err := w.Run(ctx); err != nil {
					t.Error(err)
				}
				st := w.States()[0]
				if st.Health != tt.want || !strings.Contains(st.Says, tt.says) {
					t.Errorf("%s: %q; want %s: %q", st.Health, st.Says, tt.want, tt.says)
				}
				if len(told) == 0 {
					t.Error("nobody was told")
				}
				if tt.site != nil && len(tt.site.calls) != tt.asked {
					t.Errorf("asked %d times in an hour, want %d", len(tt.site.calls), tt.asked)
				}
			})
		})
	}
}

func TestWatchKeepsQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the clock begins at midnight UTC
		site := &fakeSite{perMinute: 20, perDay: 2880}
		quiet, err := ParseQuiet("22:00-07:00")
		if err != nil {
			t.Fatal(err)
		}
		var rises []string
		w := New(Config{
			Accounts: fakeNet{"a.example": site}.watched("read"), HTTP: &http.Client{Transport: fakeNet{"a.example": site}}, Quiet: quiet,
			Now: func() time.Time { return time.Now().UTC() },
			Risen: func(s State, rise int) {
				rises = append(rises, fmt.Sprintf("+%d at %s", rise, s.CheckedAt.Format("15")))
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		time.Sleep(time.Hour)
		site.add(2)
		time.Sleep(time.Hour)
		site.add(1)
		time.Sleep(4*time.Hour + 50*time.Minute)
		site.mu.Lock()
		if asked := len(site.calls); asked > 70 {
			t.Errorf("asked %d times in the quiet hours", asked)
		}
		site.mu.Unlock()
		time.Sleep(time.Hour)
		cancel()
		<-done
		if fmt.Sprint(rises) != "[+3 at 07]" {
			t.Errorf("after the quiet hours: %v", rises)
		}
	})
}

func TestWatchOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sites := fakeNet{"a.example": {perMinute: 20, perDay: 2880, unread: 3}, "b.example": {perMinute: 20, perDay: 2880, status: 500}}
		for _, st := range New(Config{Accounts: sites.watched("read"), HTTP: &http.Client{Transport: sites}}).Once(t.Context()) {
			if st.ID == "a.example" && (st.Unread != 3 || st.Health != Well) || st.ID == "b.example" && st.Health != Unreachable {
				t.Errorf("%+v", st)
			}
		}
		if n := len(sites["a.example"].calls); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestParseQuiet(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{"": true, "22:00-07:30": true, "9:00 - 10:00": true, "22-07": false, "22:00": false, "25:00-07:00": false, "07:00-07:00": false} {
		q, err := ParseQuiet(text)
		if (err == nil) != ok {
			t.Errorf("ParseQuiet(%q) = %v, %v", text, q, err)
		}
	}
	night, _ := ParseQuiet("22:00-07:30")
	noon, _ := ParseQuiet("12:00-13:00")
	for at, want := range map[string][2]bool{"21:59": {false, false}, "22:00": {true, false}, "00:00": {true, false}, "07:29": {true, false}, "07:30": {false, false}, "12:00": {false, true}, "13:00": {false, false}} {
		when, err := time.Parse("15:04", at)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{night.At(when), noon.At(when)}; got != want {
			t.Errorf("at %s: %v, want %v", at, got, want)
		}
	}
	if night.String() != "22:00-07:30" || (Quiet{}).String() != "" || (Quiet{}).At(time.Time{}) {
		t.Error("spelling")
	}
}

// TestWatchGoesOnWithTheKeyOfANewLogin: the account has another id then, and is renewed by that.
func TestWatchGoesOnWithTheKeyOfANewLogin(t *testing.T) {
	t.Parallel()
	pair, err := client.NewKeyPair(2048)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		site := &fakeSite{perMinute: 20, perDay: 2880, status: 403, reason: "invalid key"}
		var renewed []string
		w := New(Config{
			Accounts: fakeNet{"a.example": site}.watched("read"), HTTP: &http.Client{Transport: fakeNet{"a.example": site}},
			Current: func(a keystore.Account) (keystore.Account, *client.Credential, error) {
				site.mu.Lock()
				defer site.mu.Unlock()
				site.status = 0
				now := a
				now.ID, now.CreatedAt, now.ExpiresAt = "new", time.Now(), time.Now().Add(time.Hour)
				return now, &client.Credential{Site: a.Site, Key: "fedcba9876543210fedcba9876543210", Scopes: a.Scopes, ExpiresAt: now.ExpiresAt, KeyPair: pair}, nil
			},
			Renew: func(_ context.Context, a keystore.Account, _ *http.Client) (keystore.Account, *client.Credential, error) {
				renewed = append(renewed, a.ID)
				a.CreatedAt = time.Now()
				return a, &client.Credential{Site: a.Site, Key: "00112233445566778899aabbccddeeff", Scopes: a.Scopes}, nil
			},
		})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
		if st := w.States()[0]; st.Health != Well || st.ID != "a.example" {
			t.Errorf("%+v", st)
		}
		if fmt.Sprint(renewed) != "[new]" {
			t.Errorf("renewed %v", renewed)
		}
	})
}
