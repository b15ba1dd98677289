package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/testkit/discourse"
)

// A forum is a stand-in for a Discourse, where alice has given a key.
type forum struct {
	*discourse.Site
	key  userkeys.Key
	open func(site string) (*client.Credential, error)
}

func newForum(t *testing.T, era discourse.Era, scopes ...string) *forum {
	t.Helper()
	f := &forum{Site: discourse.Start(t, era)}
	f.AddUser(discourse.User{Name: "alice", TrustLevel: 1})
	f.key = f.Mint("alice", scopes...)
	c := &client.Credential{Site: f.URL, Key: f.key, ClientID: f.Keys()[0].ClientID, Scopes: scopes, Username: "alice"}
	f.open = func(site string) (*client.Credential, error) {
		if site != f.URL {
			return nil, nil
		}
		return c, nil
	}
	return f
}

// set changes settings, given as names and values.
func (f *forum) set(nameValues ...string) {
	for i := 0; i < len(nameValues); i += 2 {
		f.Set(nameValues[i], nameValues[i+1])
	}
}

// always makes every request go wrong that is like this.
func (f *forum) always(fault discourse.Fault) {
	fault.Times = 1000
	f.Fail(fault)
}

// handler answers as a Discourse of that era does, for servers that put something before it.
func handler(t *testing.T, era discourse.Era) http.Handler {
	t.Helper()
	at, err := url.Parse(discourse.Start(t, era).URL)
	if err != nil {
		t.Fatal(err)
	}
	return httputil.NewSingleHostReverseProxy(at)
}

// TestExamineAHealthyDiscourse has nothing to complain of, whatever its age.
func TestExamineAHealthyDiscourse(t *testing.T) {
	t.Parallel()
	for _, era := range discourse.Eras {
		t.Run(string(era), func(t *testing.T) {
			t.Parallel()
			f := newForum(t, era, "read")
			f.set("enable_cors", "true", "cors_origins", "https://app.example", "allowed_user_api_auth_redirects", "myapp://done")
			all, asked := examine(t, Config{
				Site: f.URL, Scopes: userkeys.Scopes{"read", "notifications"}, Redirect: "myapp://done", PushURL: "https://push.example/hook",
				Calls: []Call{{"GET", "/notifications.json"}}, Origin: "https://app.example", OpenKey: f.open,
			})
			for _, bad := range problems(all) {
				if bad.Check != CheckLoopback {
					t.Errorf("a healthy site has %+v", bad)
				}
			}
			must(t, all, CheckPolicy, Skipped, "does not tell")
			must(t, all, CheckScope, OK, "notifications: allowed")
			must(t, all, CheckKey, OK, "works; it may read")
			must(t, all, CheckEnd, OK, "180 days")
			must(t, all, CheckTrust, Skipped, "alice has trust level 1", "trust_level_1 to user_api_key_allowed_groups")
			must(t, all, CheckLimits, OK, "usually 20", "2880", "at most 19 and 2879 are left")
			must(t, all, CheckPreflight, OK, "may send GET with a key")
			must(t, all, CheckCORS, OK, "but not Retry-After")
			if era == discourse.New {
				must(t, all, CheckProtocol, OK, "Discourse of 2026 or later", "with the device flow")
				must(t, all, CheckRedirect, OK, "myapp://done")
			} else {
				must(t, all, CheckProtocol, OK, "Discourse before 2026", "without the device flow")
				must(t, all, CheckRedirect, Skipped, "only when the person approves", "allowed_user_api_auth_redirects: myapp://done")
				must(t, all, CheckTrust, Skipped, "set min_trust_level_for_user_api_key to 1")
			}
			keyed := 0
			for _, r := range f.Requests() {
				if r.Header.Get(userkeys.KeyHeader) != "" {
					keyed++
				}
			}
			if keyed != 1 || len(asked) > 9 {
				t.Errorf("%d requests with the key in %v", keyed, asked)
			}
			if n := len(f.Keys()); n != 1 {
				t.Errorf("there are %d keys", n)
			}
		})
	}
}

// An outcome is a finding that a test wants.
type outcome struct {
	state State
	texts []string
}

func TestExamineADiscourse(t *testing.T) {
	t.Parallel()
	many := userkeys.Scopes{"read"}
	for i := range 12 {
		many = append(many, fmt.Sprintf("s%d", i))
	}
	write := Config{Scopes: userkeys.Scopes{"read", "write"}}
	onlyRead := []string{"allow_user_api_key_scopes", "read"}
	app := Config{Origin: "https://app.example"}
	shifted := func(d time.Duration) Config {
		return Config{Now: func() time.Time { return time.Now().Add(d) }}
	}
	tests := []struct {
		name     string
		settings []string
		cfg      Config
		check    Check
		today    outcome
		older    outcome // if another one
	}{
		{"scope without a reason", onlyRead, write, CheckScope, outcome{Problem, []string{"write: not allowed", "allow_user_api_key_scopes: write"}}, outcome{}},
		{"its neighbour", onlyRead, write, CheckScope, outcome{OK, []string{"read: allowed"}}, outcome{}},
		{"the only scope", onlyRead, Config{Scopes: userkeys.Scopes{"write"}}, CheckScope, outcome{Problem, []string{"write: not allowed"}}, outcome{}},
		{"everything off", []string{"allow_user_api_key_scopes", ""}, Config{Scopes: userkeys.Scopes{"write"}}, CheckScope, outcome{Problem, []string{"whole feature"}}, outcome{}},
		{"more scopes than are tried", onlyRead, Config{Scopes: many}, CheckScope, outcome{Skipped, []string{"only 10 are tried"}}, outcome{}},
		{
			"redirect", nil,
			Config{Redirect: "https://app.example/done?a=1"},
			CheckRedirect,
			outcome{Problem, []string{"allowed_user_api_auth_redirects: https://app.example/done?a=1"}},
			outcome{Skipped, []string{"only when the person approves", "allowed_user_api_auth_redirects: https://app.example/done?a=1"}},
		},
		{"redirect without a host", nil, Config{Redirect: "com.example.app:/done"}, CheckRedirect, outcome{Problem, []string{"without a host"}}, outcome{}},
		{"loopback", nil, Config{}, CheckLoopback, outcome{Warning, []string{"compares the port", "device flow"}}, outcome{Skipped, []string{"--paste"}}},
		{"lifetime", nil, Config{ExpiresIn: time.Hour}, CheckLifetime, outcome{OK, nil}, outcome{Warning, []string{"ignores"}}},
		{"long lifetime", nil, Config{ExpiresIn: 9999 * time.Hour}, CheckLifetime, outcome{Problem, []string{"max_user_api_key_expiry_days"}}, outcome{Warning, []string{"ignores"}}},
		{"its clock is ahead", nil, shifted(-5 * time.Minute), CheckClock, outcome{Warning, []string{"ahead", "NTP"}}, outcome{}},
		{"its clock is behind", nil, shifted(5 * time.Minute), CheckClock, outcome{Warning, []string{"behind"}}, outcome{}},
		{"its clock is good", nil, shifted(20 * time.Second), CheckClock, outcome{OK, nil}, outcome{}},
		{"no origin", nil, app, CheckPreflight, outcome{Problem, []string{"Access-Control-Allow-Origin is missing", "DISCOURSE_ENABLE_CORS"}}, outcome{}},
		{"another origin", []string{"enable_cors", "true", "cors_origins", "https://other.example"}, app, CheckPreflight, outcome{Problem, []string{"allows https://other.example, not https://app.example"}}, outcome{}},
		{
			"origin and method",
			[]string{"enable_cors", "true", "cors_origins", "https://app.example"},
			Config{Origin: "https://app.example", Calls: []Call{{"PATCH", "/x.json"}}},
			CheckPreflight,
			outcome{Problem, []string{"Access-Control-Allow-Methods lacks PATCH"}},
			outcome{},
		},
		{"a call with HEAD", nil, Config{Calls: []Call{{"HEAD", "/latest.json"}}}, CheckCall, outcome{Problem, []string{"use GET"}}, outcome{}},
		{"too many requests of this address", []string{"max_reqs_per_ip_per_minute", "1"}, Config{}, CheckScope, outcome{Warning, []string{"429", "ip_60_secs_limit", "wait "}}, outcome{}},
		{
			"too many requests of this address, as limits",
			[]string{"max_reqs_per_ip_per_minute", "1"},
			Config{},
			CheckLimits,
			outcome{Warning, []string{"nothing is left for the address of this machine (ip_60_secs_limit)", "DISCOURSE_MAX_REQS_PER_IP_PER_MINUTE"}},
			outcome{},
		},
		{"who may give keys", nil, Config{}, CheckTrust, outcome{Skipped, []string{"user_api_key_allowed_groups"}}, outcome{Skipped, []string{"lower min_trust_level_for_user_api_key"}}},
	}
	for _, tt := range tests {
		for _, era := range discourse.Eras {
			t.Run(tt.name+" "+string(era), func(t *testing.T) {
				t.Parallel()
				f, want, p := newForum(t, era, "read"), tt.today, tt.cfg
				f.set(tt.settings...)
				if era != discourse.New && tt.older.state != "" {
					want = tt.older
				}
				p.Site = f.URL
				all, asked := examine(t, p)
				must(t, all, tt.check, want.state, want.texts...)
				if len(asked) > 30 {
					t.Errorf("%d requests", len(asked))
				}
			})
		}
	}
}

// TestExamineAKeyOfADiscourse, which gives one answer to all that is wrong with a key.
func TestExamineAKeyOfADiscourse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		scopes []string
		harm   func(f *forum)
		check  Check
		state  State
		texts  []string
	}{
		{"revoked", []string{"read"}, func(f *forum) { f.Revoke(f.Keys()[0].ID) }, CheckKey, Problem, []string{"revoked", "suspended"}},
		{"of somebody suspended", []string{"read"}, func(f *forum) { f.ChangeUser("alice", func(u *discourse.User) { u.Suspended = true }) }, CheckKey, Problem, []string{"its owner may not act"}},
		{"of a moderator", []string{"session_info"}, func(f *forum) { f.ChangeUser("alice", func(u *discourse.User) { u.Moderator = true }) }, CheckTrust, OK, []string{"alice is staff"}},
		{"whose scopes do not open the session", []string{"notifications"}, func(*forum) {}, CheckKey, OK, []string{"works"}},
		{"whose scopes do not open the session, as trust", []string{"notifications"}, func(*forum) {}, CheckTrust, Skipped, []string{"only to those who are signed in"}},
		{"of a site without a session", []string{"read"}, func(f *forum) { f.always(discourse.Fault{Path: sessionPath, Status: http.StatusNotFound}) }, CheckKey, OK, []string{"works"}},
		{"of a site whose session is a page", []string{"read"}, func(f *forum) { f.always(discourse.Fault{Path: sessionPath, Body: "<p>"}) }, CheckKey, Warning, []string{"not the JSON that was expected"}},
		{"used up for the minute", []string{"read"}, usedUp("max_user_api_reqs_per_minute"), CheckLimits, Warning, []string{"nothing is left for the key of the minute (user_api_key_limiter_60_secs)", "wait ", "until ", "DISCOURSE_MAX_USER_API_REQS_PER_MINUTE"}},
		{"used up for the day", []string{"read"}, usedUp("max_user_api_reqs_per_day"), CheckLimits, Warning, []string{"nothing is left for the key of the day (user_api_key_limiter_1_day)", "wait 2"}},
		{"used up, as key", []string{"read"}, usedUp("max_user_api_reqs_per_day"), CheckKey, Warning, []string{"429"}},
		{"before a login page", []string{"read"}, func(f *forum) { f.always(discourse.Fault{Path: sessionPath, RedirectTo: "/login"}) }, CheckKey, Problem, []string{"login page (302)", "User-Api-Key"}},
	}
	for _, tt := range tests {
		for _, era := range discourse.Eras {
			t.Run(tt.name+" "+string(era), func(t *testing.T) {
				t.Parallel()
				f := newForum(t, era, tt.scopes...)
				tt.harm(f)
				all, _ := examine(t, Config{Site: f.URL, OpenKey: f.open})
				must(t, all, tt.check, tt.state, tt.texts...)
				hides(t, all, f.key)
			})
		}
	}
}

// usedUp takes the one call that a limit lets through.
func usedUp(limit string) func(*forum) {
	return func(f *forum) {
		f.Set(limit, "1")
		c, _ := f.open(f.URL)                               // it has one
		_, _ = c.CurrentUsername(context.Background(), nil) // the doctor tells if that came too late
	}
}

// hides fails the test if the key stands in a finding.
func hides(t *testing.T, all []Finding, key userkeys.Key) {
	t.Helper()
	for _, f := range all {
		if strings.Contains(f.Says+f.Advice, key.Reveal()) {
			t.Errorf("the key is in %+v", f)
		}
	}
}

// TestExamineADiscourseThatRefusesStrangers: none does so today, and the wire has a word for it.
func TestExamineADiscourseThatRefusesStrangers(t *testing.T) {
	t.Parallel()
	f := newForum(t, discourse.New)
	f.always(discourse.Fault{Path: probePath + ".json", Body: `{"state":"no_trust_level"}`})
	all, _ := examine(t, Config{Site: f.URL})
	must(t, all, CheckTrust, Problem, "user_api_key_allowed_groups", "no_trust_level")
}

// TestExamineADiscourseThatAnswersRubbish bounds what is read, and shows nothing that steers a terminal.
func TestExamineADiscourseThatAnswersRubbish(t *testing.T) {
	t.Parallel()
	rubbish := strings.Repeat("<p>\x1b]0;title\x07\u202e", 1<<19)
	tests := []struct {
		name  string
		fault discourse.Fault
		check Check
		state State
		texts []string
	}{
		{"huge answers that are not JSON", discourse.Fault{Method: "GET", Body: rubbish}, CheckScope, Problem, []string{"read: refused without a reason"}},
		{"cut answers", discourse.Fault{Method: "GET", Cut: discourse.CutBefore}, CheckScope, Warning, []string{"cannot be asked now: cannot reach http://"}},
		{"overloaded", discourse.Fault{Method: "GET", Status: 429, Header: http.Header{"Retry-After": {"30"}}}, CheckScope, Warning, []string{"429", "wait 30s"}},
		{"overloaded, as limits", discourse.Fault{Method: "GET", Status: 429, Header: http.Header{"Retry-After": {"30"}}}, CheckLimits, Warning, []string{"a limit that the site does not name", "wait 30s"}},
		{"starting", discourse.Fault{Method: "GET", Status: 503}, CheckKey, Warning, []string{"answers 503"}},
	}
	for _, tt := range tests {
		for _, era := range discourse.Eras {
			t.Run(tt.name+" "+string(era), func(t *testing.T) {
				t.Parallel()
				f := newForum(t, era, "read")
				f.always(tt.fault)
				all, asked := examine(t, Config{Site: f.URL, OpenKey: f.open})
				must(t, all, tt.check, tt.state, tt.texts...)
				if len(asked) > 12 {
					t.Errorf("asked %v", asked)
				}
				for _, f := range all {
					if text := f.Says + f.Advice; text != userkeys.Printable(text) {
						t.Errorf("not fit for a terminal: %q", text)
					}
				}
			})
		}
	}
}
