package discourse_test

import (
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/discourse"
)

func TestKeyLimits(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		s.Set("max_user_api_reqs_per_minute", "2")
		s.Set("max_user_api_reqs_per_day", "3")
		a := app{t: t, s: s, key: s.Mint("alice", "read")}
		a.get("/about.json").must(t, 200)
		s.Clock.Pass(10 * time.Second)
		a.get("/about.json").must(t, 200)
		r := a.get("/about").must(t, 429, `"error_type":"rate_limit"`, `"wait_seconds":50`, `"time_left":"50 seconds"`)
		refusedBy(t, r, "50", "user_api_key_limiter_60_secs")
		s.Clock.Pass(50 * time.Second)
		a.get("/about.json").must(t, 200)
		s.Clock.Pass(time.Minute)
		refusedBy(t, a.get("/about.json").must(t, 429, `"time_left":"23 hours"`), "86280", "user_api_key_limiter_1_day")
		if got := s.Requests(); !got[2].Limited || got[2].Status != 429 || got[3].Limited || len(got) != 5 {
			t.Errorf("requests %+v", got)
		}
		if n := s.Count("GET", "/about.json"); n != 4 {
			t.Errorf("counted %d", n)
		}
	})
}

func refusedBy(t *testing.T, r reply, wait, code string) {
	t.Helper()
	if got := r.Header.Get("Retry-After"); got != wait {
		t.Errorf("Retry-After = %q, want %q", got, wait)
	}
	if got := r.Header.Get("Discourse-Rate-Limit-Error-Code"); got != code {
		t.Errorf("the code is %q, want %q", got, code)
	}
}

// TestRefusalsAreCharged: in the oldest era what is refused is free; later a
// request outside the key's scopes has been charged.
func TestRefusalsAreCharged(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		s.Set("max_user_api_reqs_per_minute", "1")
		a := app{t: t, s: s, key: s.Mint("alice", "session_info")}
		a.get("/about.json").must(t, 403)
		want := 429
		if s.Era == discourse.Old {
			want = 200
		}
		a.get("/session/current.json").must(t, want)
		for range 3 {
			app{t: t, s: s, key: "00000000000000000000000000000000"}.get("/about.json").must(t, 403)
		}
	})
}

// TestOrderOfLimits: with both full, the oldest era names the day; later the
// minute is charged before the day refuses.
func TestOrderOfLimits(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		s.Set("max_user_api_reqs_per_minute", "1")
		s.Set("max_user_api_reqs_per_day", "1")
		a := app{t: t, s: s, key: s.Mint("alice", "read")}
		a.get("/about.json").must(t, 200)
		first := "user_api_key_limiter_60_secs"
		if s.Era == discourse.Old {
			first = "user_api_key_limiter_1_day"
		}
		if got := a.get("/about.json").Header.Get("Discourse-Rate-Limit-Error-Code"); got != first {
			t.Errorf("both full: %s, want %s", got, first)
		}
		s.Clock.Pass(time.Minute)
		refusedBy(t, a.get("/about.json").must(t, 429), "86340", "user_api_key_limiter_1_day")
		s.Set("max_user_api_reqs_per_day", "10")
		want := 429 // the minute stayed charged
		if s.Era == discourse.Old {
			want = 200
		}
		a.get("/about.json").must(t, want)
		s.Set("max_user_api_reqs_per_minute", "0")
		s.Clock.Pass(time.Hour)
		a.get("/about.json").must(t, 429)
	})
}

// TestAddressLimit comes before keys and counts what it refused.
func TestAddressLimit(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		s.Set("max_reqs_per_ip_per_10_seconds", "2")
		s.Set("max_reqs_per_ip_per_minute", "4")
		a := app{t: t, s: s}
		a.get("/about.json").must(t, 200)
		a.get("/about.json").must(t, 200)
		r := a.get("/about.json").must(t, 429)
		refusedBy(t, r, "10", "ip_10_secs_limit")
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") || strings.Count(r.body, "\n") != 3 {
			t.Errorf("the answer is %s: %q", r.Header.Get("Content-Type"), r.body)
		}
		s.Clock.Pass(9 * time.Second)
		refusedBy(t, a.get("/about.json").must(t, 429), "1", "ip_10_secs_limit")
		if p, err := s.Browser("alice").Open("/about"); err != nil || p.Status != 200 {
			t.Errorf("who is signed in: %d %v", p.Status, err)
		}
		s.Clock.Pass(10 * time.Second)
		a.get("/about.json").must(t, 200)
		a.get("/about.json").must(t, 200)
		refusedBy(t, a.get("/about.json").must(t, 429), "10", "ip_10_secs_limit")
		s.Clock.Pass(10 * time.Second)
		refusedBy(t, a.get("/about.json").must(t, 429), "31", "ip_60_secs_limit")
	})
}
