package discourse_test

import (
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/discourse"
)

// TestBadKeys: revoked, ended, unknown and suspended owners' keys are told
// apart by nothing; pages get plain text.
func TestBadKeys(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		revoked, suspended, inactive := s.Mint("alice", "read"), s.Mint("bob", "read"), s.Mint("admin", "read")
		s.Revoke(s.Keys()[0].ID)
		s.ChangeUser("bob", func(u *discourse.User) { u.Suspended = true })
		s.ChangeUser("admin", func(u *discourse.User) { u.Inactive = true })
		narrow := s.Mint("alice", "session_info")
		bodies := map[string]bool{}
		for name, a := range map[string]app{
			"revoked": {t: t, s: s, key: revoked}, "suspended": {t: t, s: s, key: suspended}, "inactive": {t: t, s: s, key: inactive},
			"unknown": {t: t, s: s, key: "00000000000000000000000000000000"}, "wrong scope": {t: t, s: s, key: narrow},
		} {
			r := a.get("/about.json").must(t, 403, `"error_type":"invalid_access"`, `{"errors":[`)
			bodies[r.body] = true
			if kind := a.get("/about").must(t, 403).Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
				t.Errorf("%s: a page has %s", name, kind)
			}
			a.get("/nowhere.json").must(t, 403)
		}
		if len(bodies) != 1 {
			t.Errorf("bad keys can be told apart: %v", bodies)
		}
		app{t: t, s: s}.get("/about.json?user_api_key="+revoked.Reveal()).must(t, 200)
	})
}

func TestScopes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		scope, method, path string
		status              [3]int // old, middle, new
	}{
		{"read", "GET", "/about.json", [3]int{200, 200, 200}},
		{"read", "HEAD", "/about.json", [3]int{403, 403, 403}},
		{"read", "GET", "/notifications/totals.json", [3]int{404, 200, 200}},
		{"read", "POST", "/posts.json", [3]int{403, 403, 403}},
		{"read", "GET", "/user-api-key/activate.json", [3]int{404, 404, 200}},
		{"write", "GET", "/latest.json", [3]int{200, 200, 200}},
		{"write", "POST", "/posts.json", [3]int{422, 422, 422}},
		{"write", "POST", "/nowhere.json", [3]int{404, 404, 404}},
		{"session_info", "GET", "/session/current.json", [3]int{200, 200, 200}},
		{"session_info", "GET", "/latest.json", [3]int{200, 403, 403}},
		{"notifications", "GET", "/notifications.json", [3]int{200, 200, 200}},
		{"notifications", "PUT", "/notifications/read", [3]int{200, 200, 200}},
		{"notifications", "PUT", "/notifications/mark-read", [3]int{200, 200, 200}},
		{"notifications", "GET", "/notifications/totals.json", [3]int{403, 200, 200}}, // no such route in the oldest
		{"notifications", "GET", "/session/current.json", [3]int{403, 403, 403}},
		{"message_bus", "GET", "/about.json", [3]int{403, 403, 403}},
		{"push", "GET", "/about.json", [3]int{403, 403, 403}},
	}
	for i, era := range discourse.Eras {
		s := newSite(t, era)
		for _, tt := range tests {
			a := app{t: t, s: s, key: s.Mint("alice", tt.scope)}
			if r := a.do(tt.method, tt.path, nil); r.StatusCode != tt.status[i] {
				t.Errorf("%s: %s may %s %s: %d, want %d: %.200s", era, tt.scope, tt.method, tt.path, r.StatusCode, tt.status[i], r.body)
			}
		}
	}
}

// TestRevoke: any key may revoke itself, whatever its scopes.
func TestRevoke(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		a := app{t: t, s: s, key: s.Mint("alice", "push")}
		a.do("POST", "/user-api-key/revoke.json", nil).must(t, 200, `{"success":"OK"}`)
		a.do("POST", "/user-api-key/revoke.json", nil).must(t, 403)
	})
}

// TestLastUse: every request that was let through sets the key's last use.
func TestLastUse(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		a := app{t: t, s: s, key: s.Mint("alice", "read")}
		s.Clock.Pass(time.Hour)
		r := a.get("/about.json").must(t, 200)
		if got := r.Header.Get("X-Discourse-Username"); got != "alice" {
			t.Errorf("X-Discourse-Username = %q", got)
		}
		if got := r.Header.Get("X-Discourse-Route"); got != "about/index" {
			t.Errorf("X-Discourse-Route = %q", got)
		}
		if got := s.Keys()[0].LastUsedAt; !got.Equal(s.Clock.Now()) {
			t.Errorf("last used %v", got)
		}
	})
}

// TestReplacedKeys: a grant removes the user's key for the same client; in
// the oldest era whoever's.
func TestReplacedKeys(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		for _, name := range []string{"alice", "bob", "bob"} {
			if _, err := s.Browser(name).Approve(consentURL()); err != nil {
				t.Fatal(err)
			}
		}
		want := 2
		if s.Era == discourse.Old {
			want = 1
		}
		if keys := s.Keys(); len(keys) != want || keys[0].ApplicationName != "An app" {
			t.Errorf("%d keys, want %d: %+v", len(keys), want, keys)
		}
	})
}

func TestClientIDHeader(t *testing.T) {
	eachEra(t, func(t *testing.T, s *discourse.Site) {
		a := app{t: t, s: s, key: s.Mint("alice", "read")}
		s.Mint("alice", "read")
		s.Mint("bob", "read")
		before := s.Keys()
		a.with("User-Api-Client-Id", "").get("/about.json").must(t, 200)
		if s.Keys()[0].ClientID != before[0].ClientID {
			t.Error("a blank client id was taken")
		}
		a.with("User-Api-Client-Id", "new").get("/about.json").must(t, 200)
		if s.Keys()[0].ClientID != "new" {
			t.Error("the client id was not taken")
		}
		a.with("User-Api-Client-Id", before[2].ClientID).get("/about.json").must(t, 500)
		r := a.with("User-Api-Client-Id", before[1].ClientID).get("/about.json")
		if s.Era != discourse.Old {
			r.must(t, 500)
		} else if r.must(t, 200); len(s.Keys()) != 2 {
			t.Errorf("%d keys", len(s.Keys()))
		}
	})
}
