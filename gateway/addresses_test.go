package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/gateway/internal/clientip"
)

// watch is a clock that tests move.
type watch struct {
	mu sync.Mutex
	t  time.Time
}

func newWatch() *watch { return &watch{t: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)} }

func (c *watch) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *watch) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// lines is a log as text.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }

func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// limitedFront is a front on a clock of the test's, before handlers and an upstream.
func limitedFront(t *testing.T, cfg FrontConfig, nameValues ...string) (*Front, *edged, *watch, *lines) {
	t.Helper()
	c, clock, log := newEdged(t, nameValues...), newWatch(), &lines{}
	up := newUpstream(t, nil)
	cfg.Own, cfg.Checker, cfg.Now, cfg.Logger = identities, c, clock.now, log.logger()
	cfg.Upstream = newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c, ClientIPs: cfg.ClientIPs})
	return newFront(t, cfg), c, clock, log
}

func passed(t *testing.T, f *Front, n int, r func() *http.Request) (ok int) {
	t.Helper()
	for range n {
		if answerOf(f, r()).Code != http.StatusTooManyRequests {
			ok++
		}
	}
	return ok
}

func TestAddressIsLimited(t *testing.T) {
	t.Parallel()
	t.Run("W13.3 the answer", func(t *testing.T) {
		t.Parallel()
		f, c, clock, _ := limitedFront(t, FrontConfig{}, "max_reqs_per_ip_per_10_seconds", "5", "max_reqs_per_ip_per_minute", "8")
		ask := func() *http.Request { return from("203.0.113.9", "GET", "/my/apps", userkeys.KeyHeader, aliceKey) }
		if n := passed(t, f, 5, ask); n != 5 {
			t.Fatalf("%d of 5 passed", n)
		}
		checks := len(c.seen())
		w := answerOf(f, ask())
		text := strings.Split(strings.TrimSuffix(w.Body.String(), "\n"), "\n")
		wait := w.Header().Get("Retry-After")
		if w.Code != 429 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") || len(text) != 3 ||
			w.Header().Get("Discourse-Rate-Limit-Error-Code") != "ip_10_secs_limit" || text[2] != "Error code: ip_10_secs_limit" || !strings.Contains(text[1], wait+" seconds") {
			t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
		}
		if len(c.seen()) != checks {
			t.Error("a key was looked at although its address may not ask")
		}
		seconds, err := strconv.Atoi(wait)
		if err != nil || seconds < 1 || seconds > 11 {
			t.Fatalf("Retry-After %q", wait)
		}
		clock.pass(time.Duration(seconds) * time.Second)
		if n := passed(t, f, 1, ask); n != 1 {
			t.Error("refused after the wait it was told")
		}
		clock.pass(11 * time.Second)
		_ = passed(t, f, 5, ask)
		if w := answerOf(f, ask()); w.Header().Get("Discourse-Rate-Limit-Error-Code") != "ip_60_secs_limit" {
			t.Errorf("%v", w.Header())
		}
	})
	t.Run("RV12 RL8 unknown keys, refusals and pages of ours count; strangers of the upstream do not", func(t *testing.T) {
		t.Parallel()
		f, _, _, _ := limitedFront(t, FrontConfig{}, "max_reqs_per_ip_per_10_seconds", "4")
		for i, r := range []*http.Request{
			from("203.0.113.9", "GET", "/posts.json", userkeys.KeyHeader, "unknown"),
			from("203.0.113.9", "GET", "/posts.json", userkeys.KeyHeader, aliceKey),
			from("203.0.113.9", "GET", "/my/apps"),
			from("203.0.113.9", "FOO", "/my/apps"),
		} {
			if w := answerOf(f, r); w.Code == 429 {
				t.Fatalf("request %d is refused", i)
			}
		}
		for _, r := range []*http.Request{
			from("203.0.113.9", "GET", "/posts.json", userkeys.KeyHeader, "unknown"),
			from("203.0.113.9", "GET", "/my/apps"),
			from("203.0.113.9", "GET", "/my/apps", "X-Forwarded-For", "198.51.100.1"), // RL3: not believed
		} {
			if w := answerOf(f, r); w.Code != 429 {
				t.Errorf("%s: %d", r.URL, w.Code)
			}
		}
		if w := answerOf(f, from("203.0.113.9", "GET", "/posts.json")); w.Code != 200 {
			t.Errorf("a visitor of the upstream: %d", w.Code)
		}
		if w := answerOf(f, from("203.0.113.10", "GET", "/my/apps")); w.Code != 200 {
			t.Errorf("another address: %d", w.Code)
		}
	})
	t.Run("a refused request counts, so hammering does not help", func(t *testing.T) {
		t.Parallel()
		f, _, clock, _ := limitedFront(t, FrontConfig{}, "max_reqs_per_ip_per_10_seconds", "5")
		ask := func() *http.Request { return from("203.0.113.9", "GET", "/my/apps") }
		_ = passed(t, f, 5, ask)
		for range 40 {
			clock.pass(time.Second)
			if n := passed(t, f, 1, ask); n != 0 {
				t.Fatal("one a second passes, above five in ten")
			}
		}
	})
	t.Run("modes", func(t *testing.T) {
		t.Parallel()
		for mode, want := range map[string]struct {
			passed int
			log    string
		}{"block": {2, "level=INFO msg=refused"}, "warn": {6, "level=WARN msg=\"an address asks too often\""}, "warn+block": {2, "level=WARN msg=\"an address asks too often\""}, "none": {6, ""}} {
			f, _, _, log := limitedFront(t, FrontConfig{}, "max_reqs_per_ip_per_10_seconds", "2", "max_reqs_per_ip_mode", mode)
			if n := passed(t, f, 6, func() *http.Request { return from("203.0.113.9", "GET", "/my/apps") }); n != want.passed {
				t.Errorf("%s: %d passed", mode, n)
			}
			if got := log.String(); (want.log == "") != (got == "") || !strings.Contains(got, want.log) || want.log != "" && !strings.Contains(got, "ip=203.0.113.9") {
				t.Errorf("%s: log %q", mode, got)
			}
		}
	})
}

func TestRL5NetworksOfIPv6(t *testing.T) {
	t.Parallel()
	f, _, clock, _ := limitedFront(t, FrontConfig{}, "max_reqs_per_ip_per_10_seconds", "10", "max_reqs_per_ip_per_minute", "1000")
	n := 0
	inOne := func() *http.Request { n++; return from(fmt.Sprintf("[2001:db8:1:2::%x]", n), "GET", "/my/apps") }
	if got := passed(t, f, 50, inOne); got != 10 {
		t.Errorf("%d of one /64 passed, want 10", got)
	}
	inMany := func() *http.Request { n++; return from(fmt.Sprintf("[2001:db8:7:%x::1]", n), "GET", "/my/apps") }
	if got := passed(t, f, 100, inMany); got != 40 {
		t.Errorf("%d of one /48 passed, want 40", got)
	}
	if got := passed(t, f, 5, func() *http.Request { return from("[2001:db8:9::1]", "GET", "/my/apps") }); got != 5 {
		t.Error("another /48 is refused")
	}
	clock.pass(time.Minute)
	mapped := func() *http.Request { return from("[::ffff:203.0.113.7]", "GET", "/my/apps") }
	plain := func() *http.Request { return from("203.0.113.7", "GET", "/my/apps") }
	if got := passed(t, f, 6, mapped) + passed(t, f, 6, plain); got != 10 {
		t.Errorf("%d passed of an IPv4 address in two spellings", got)
	}
}

func TestPrivatePeersAreNotLimited(t *testing.T) {
	t.Parallel()
	ask := func(ip string, headers ...string) func() *http.Request {
		return func() *http.Request { return from(ip, "GET", "/my/apps", headers...) }
	}
	t.Run("no proxies are named", func(t *testing.T) {
		t.Parallel()
		f, _, _, log := limitedFront(t, FrontConfig{}, "max_reqs_per_ip_per_10_seconds", "2")
		for _, ip := range []string{"127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.1.1", "100.64.0.1", "[::1]", "[fd00::1]", "[fe80::1%eth0]", "@"} {
			if n := passed(t, f, 5, ask(ip, "X-Forwarded-For", "203.0.113.1")); n != 5 {
				t.Errorf("%s: %d of 5 passed", ip, n)
			}
		}
		if got := log.String(); strings.Count(got, "not limited by address") != 1 || strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") {
			t.Errorf("log %q", got)
		}
	})
	t.Run("proxies are named", func(t *testing.T) {
		t.Parallel()
		f, _, _, log := limitedFront(t, FrontConfig{ClientIPs: clientip.ForwardedFor([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})}, "max_reqs_per_ip_per_10_seconds", "2")
		for client, want := range map[string]int{"203.0.113.1": 2, "192.168.5.5": 2, "203.0.113.2, 203.0.113.3": 2} {
			if n := passed(t, f, 5, ask("10.0.0.1", "X-Forwarded-For", client)); n != want {
				t.Errorf("%s: %d of 5 passed", client, n)
			}
		}
		if n := passed(t, f, 5, ask("10.0.0.1", "X-Forwarded-For", "9.9.9.9, 203.0.113.3")); n != 0 {
			t.Errorf("RL3: an invented hop gave %d more", n)
		}
		if log.String() != "" && strings.Contains(log.String(), "not limited") {
			t.Error("warned although proxies are named")
		}
		if n := passed(t, f, 5, ask("10.0.0.1")); n != 5 {
			t.Errorf("a proxy that names no client is limited for everybody: %d", n)
		}
		if strings.Count(log.String(), "not limited by address") != 1 {
			t.Errorf("log %q", log)
		}
	})
}
