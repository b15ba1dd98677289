package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/client"
)

// A discourse answers a stranger as a Discourse does: of 2026 if it has the device flow, else an older one,
// which shows its consent page to browsers only and looks at redirects later.
type discourse struct {
	device    bool
	scopes    []string // that it allows; nil: read
	redirects []string
	noTrust   bool // no_trust_level to everybody
	wait      func(*http.Request) bool
	date      time.Duration // how far its clock is ahead
	cors      string        // the origin that it allows
	key       string        // that works
}

func newDiscourse(d discourse) *discourse {
	if d.scopes == nil {
		d.scopes = []string{"read"}
	}
	return &d
}

func (d *discourse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.wait != nil && d.wait(r) {
		<-r.Context().Done()
		return
	}
	if d.date != 0 {
		w.Header().Set("Date", time.Now().Add(d.date).UTC().Format(http.TimeFormat))
	}
	if d.cors != "" {
		w.Header().Set("Access-Control-Allow-Origin", d.cors)
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type, User-Api-Key, User-Api-Client-Id")
		w.Header().Set("Access-Control-Allow-Methods", "POST, PUT, GET, OPTIONS, DELETE")
		if r.Method == http.MethodOptions {
			return
		}
	}
	switch path := r.URL.Path; {
	case r.Method == http.MethodHead && path == probePath:
		w.Header().Set("Auth-Api-Version", "4")
		if d.device {
			w.Header().Set("Auth-Api-Device-Code", "true")
		}
	case path == probePath+".json" && d.device, path == probePath && !d.device:
		d.consent(w, r)
	case path == "/session/current.json" && r.Header.Get(userkeys.KeyHeader) == d.key && d.key != "":
		_, _ = w.Write([]byte(`{"current_user":{"username":"alice"}}`))
	case path == "/session/current.json" && r.Header.Get(userkeys.KeyHeader) != "":
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"errors":["You are not permitted to view the requested resource. ` + r.Header.Get(userkeys.KeyHeader) + `"],"error_type":"invalid_access"}`))
	default:
		http.NotFound(w, r)
	}
}

func (d *discourse) consent(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	bad := slices.ContainsFunc(strings.Split(q.Get("scopes"), ","), func(s string) bool { return !slices.Contains(d.scopes, s) })
	if to := q.Get("auth_redirect"); to != "" && d.device {
		bad = bad || !slices.Contains(d.redirects, to)
	}
	bad = bad || d.device && q.Get("expires_in_seconds") != "" && len(q.Get("expires_in_seconds")) > 6
	switch {
	case d.noTrust:
		_, _ = w.Write([]byte(`{"state":"no_trust_level"}`))
	case bad && d.device:
		_, _ = w.Write([]byte(`{"state":"generic_error"}`))
	case bad:
		_, _ = w.Write([]byte(`<p>Sorry, we are unable to issue user API keys</p>`))
	default:
		http.Redirect(w, r, "/login", http.StatusFound)
	}
}

func TestExamineADiscourse(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef0123456789abcdef"
	many := userkeys.Scopes{"read"}
	for i := range 12 {
		many = append(many, fmt.Sprintf("s%d", i))
	}
	tests := []struct {
		name  string
		site  discourse
		p     Patient
		check Check
		state State
		texts []string
	}{
		{"of today", discourse{device: true}, Patient{}, CheckProtocol, OK, []string{"Discourse of 2026 or later", "with the device flow"}},
		{"older", discourse{}, Patient{}, CheckProtocol, OK, []string{"Discourse before 2026", "without the device flow"}},
		{"says nothing of what it allows", discourse{}, Patient{}, CheckPolicy, Skipped, []string{"does not tell"}},
		{"scope without a reason", discourse{device: true}, Patient{Scopes: userkeys.Scopes{"read", "write"}}, CheckScope, Problem, []string{"write: not allowed", "allow_user_api_key_scopes: write"}},
		{"its neighbour", discourse{device: true}, Patient{Scopes: userkeys.Scopes{"read", "write"}}, CheckScope, OK, []string{"read: allowed"}},
		{"scope without a reason, older", discourse{}, Patient{Scopes: userkeys.Scopes{"read", "write"}}, CheckScope, Problem, []string{"write: not allowed"}},
		{"the only scope", discourse{}, Patient{Scopes: userkeys.Scopes{"write"}}, CheckScope, Problem, []string{"write: not allowed"}},
		{"everything off", discourse{scopes: []string{}}, Patient{Scopes: userkeys.Scopes{"write"}}, CheckScope, Problem, []string{"whole feature"}},
		{"more scopes than are tried", discourse{}, Patient{Scopes: many}, CheckScope, Skipped, []string{"only 10 are tried"}},
		{"trust", discourse{device: true, noTrust: true}, Patient{}, CheckTrust, Problem, []string{"user_api_key_allowed_groups", "no_trust_level"}},
		{"redirect", discourse{device: true}, Patient{Redirect: "https://app.example/done?a=1"}, CheckRedirect, Problem, []string{"allowed_user_api_auth_redirects: https://app.example/done?a=1"}},
		{"redirect that is allowed", discourse{device: true, redirects: []string{"myapp://done"}}, Patient{Redirect: "myapp://done"}, CheckRedirect, OK, []string{"myapp://done"}},
		{"redirect without a host", discourse{device: true}, Patient{Redirect: "com.example.app:/done"}, CheckRedirect, Problem, []string{"without a host"}},
		{"redirect, older", discourse{}, Patient{Redirect: "myapp://done"}, CheckRedirect, Skipped, []string{"only when the person approves", "allowed_user_api_auth_redirects: myapp://done"}},
		{"loopback", discourse{device: true}, Patient{}, CheckLoopback, Warning, []string{"compares the port", "device flow"}},
		{"loopback, older", discourse{}, Patient{}, CheckLoopback, Skipped, []string{"--paste"}},
		{"lifetime", discourse{device: true}, Patient{ExpiresIn: 9999 * time.Hour}, CheckLifetime, Problem, []string{"max_user_api_key_expiry_days"}},
		{"lifetime, older", discourse{}, Patient{ExpiresIn: time.Hour}, CheckLifetime, Warning, []string{"ignores"}},
		{"limits", discourse{}, Patient{}, CheckLimits, OK, []string{"usually 20", "2880"}},
		{"its clock is ahead", discourse{date: 5 * time.Minute}, Patient{}, CheckClock, Warning, []string{"ahead", "NTP"}},
		{"its clock is behind", discourse{date: -5 * time.Minute}, Patient{}, CheckClock, Warning, []string{"behind"}},
		{"its clock is good", discourse{date: 20 * time.Second}, Patient{}, CheckClock, OK, nil},
		{"another origin", discourse{cors: "https://other.example"}, Patient{Origin: "https://app.example"}, CheckPreflight, Problem, []string{"allows https://other.example, not https://app.example", "DISCOURSE_ENABLE_CORS"}},
		{"origin and method", discourse{cors: "https://app.example"}, Patient{Origin: "https://app.example", Calls: []Call{{"PATCH", "/x.json"}}}, CheckPreflight, Problem, []string{"Access-Control-Allow-Methods lacks PATCH"}},
		{"origin", discourse{cors: "https://app.example"}, Patient{Origin: "https://app.example"}, CheckCORS, OK, []string{"but not Retry-After"}},
		{"a call with HEAD", discourse{}, Patient{Calls: []Call{{"HEAD", "/latest.json"}}}, CheckCall, Problem, []string{"use GET"}},
		{"dead key", discourse{}, Patient{OpenKey: keyOf(key)}, CheckKey, Problem, []string{"revoked", "suspended"}},
		{"good key", discourse{key: key}, Patient{OpenKey: keyOf(key)}, CheckKey, OK, []string{"works"}},
		{"good key's end", discourse{key: key}, Patient{OpenKey: keyOf(key)}, CheckEnd, OK, []string{"180 days"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ts := httptest.NewServer(newDiscourse(tt.site))
			t.Cleanup(ts.Close)
			tt.p.Site = ts.URL
			all, asked := examine(t, tt.p)
			must(t, all, tt.check, tt.state, tt.texts...)
			if len(asked) > 30 {
				t.Errorf("%d requests", len(asked))
			}
			for _, f := range all {
				if strings.Contains(f.Says+f.Advice, key) {
					t.Errorf("the key is in %+v", f)
				}
			}
		})
	}
}

func keyOf(key string) func(string) (*client.Credential, error) {
	return func(site string) (*client.Credential, error) {
		return &client.Credential{Site: site, Key: userkeys.Key(key), ClientID: "c1", Scopes: userkeys.Scopes{"read"}}, nil
	}
}

func TestExamineAddresses(t *testing.T) {
	t.Parallel()
	const site = "https://forum.example"
	tests := []struct{ name, typed, says, site string }{
		{"plain", "https://forum.example/", site, site},
		{"without a scheme", "Forum.example", site, site},
		{"a folder", "https://www.example/forum", "https://www.example/forum", "https://www.example/forum"},
		{"a topic", "https://forum.example/t/how-to/123/4?u=alice", "the path of a page", site},
		{"a topic in a folder", "https://www.example/forum/t/how-to/123", "the path of a page", "https://www.example/forum"},
		{"the consent page", "https://forum.example/user-api-key/new?scopes=read", "a query", site},
		{"a user name", "https://alice@forum.example", "a user name", site},
		{"nothing", " ", "missing", ""},
		{"another scheme", "ftp://forum.example", "https://", ""},
		{"no address", "https://exa mple", "no address", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refuse := roundTrip(func(r *http.Request) (*http.Response, error) {
				at := url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: strings.TrimSuffix(r.URL.Path, probePath)}
				return nil, fmt.Errorf("asked %s", at.String())
			})
			all, _ := examine(t, Patient{Site: tt.typed, Transport: refuse})
			state := OK
			if tt.says != tt.site {
				state = Problem
			}
			must(t, all, CheckAddress, state, tt.says)
			if tt.site == "" {
				must(t, all, CheckConnection, Skipped, "not known")
			} else {
				must(t, all, CheckConnection, Problem, "asked "+tt.site)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestExamineOtherServers(t *testing.T) {
	t.Parallel()
	status := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Server", "cloud\u202e")
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(n)
		}
	}
	good := newDiscourse(discourse{})
	tests := []struct {
		name   string
		handle http.HandlerFunc
		check  Check
		state  State
		texts  []string
	}{
		{"nothing there", status(404), CheckProtocol, Problem, []string{"gives no user API keys (404)"}},
		{"a password", status(401), CheckProtocol, Problem, []string{"password of its web server"}},
		{"a firewall", status(403), CheckProtocol, Problem, []string{"refuses programs (403), its server is cloud"}},
		{"overloaded", status(429), CheckProtocol, Problem, []string{"429", "wait 30s"}},
		{"starting", status(503), CheckProtocol, Problem, []string{"answers 503", "wait 30s"}},
		{"yes to everything", status(200), CheckProtocol, Problem, []string{"no Auth-Api-Version header"}},
		{"the version before scopes", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Auth-Api-Version", "1") }, CheckProtocol, Problem, []string{"version 1", "updated"}},
		{"a version between", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Auth-Api-Version", "3") }, CheckProtocol, Warning, []string{"today's is version 4"}},
		{"a wall of a login", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/login" {
				http.Redirect(w, r, "/login", http.StatusFound)
			}
		}, CheckProtocol, Problem, []string{"sends strangers away", "/login", "must let /user-api-key/ pass"}},
		{"circles", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, CheckRedirects, Problem, []string{"in circles"}},
		{"in a usual folder", http.StripPrefix("/community", good).ServeHTTP, CheckProtocol, Problem, []string{"/community"}},
		{"where its front page sends", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/diskussion/latest", http.StatusFound)
				return
			}
			http.StripPrefix("/diskussion", good).ServeHTTP(w, r)
		}, CheckProtocol, Problem, []string{"use http://", "/diskussion"}},
		{"a login in place of the API", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/session/current.json" {
				http.Redirect(w, r, "/login", http.StatusFound)
				return
			}
			good.ServeHTTP(w, r)
		}, CheckKey, Problem, []string{"login page (302)", "User-Api-Key"}},
		{"huge answers that are not JSON", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				good.ServeHTTP(w, r)
				return
			}
			_, _ = w.Write([]byte(strings.Repeat("<p>\x1b]0;title\x07\u202e", 1<<20)))
		}, CheckScope, Problem, []string{"read: refused without a reason"}},
		{"overloaded for the question", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				good.ServeHTTP(w, r)
				return
			}
			status(429)(w, r)
		}, CheckScope, Warning, []string{"429", "wait 30s"}},
		{"overloaded, as limits", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				good.ServeHTTP(w, r)
				return
			}
			status(429)(w, r)
		}, CheckLimits, Warning, []string{"wait 30s", "DISCOURSE_MAX_USER_API_REQS_PER_MINUTE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ts := httptest.NewServer(tt.handle)
			t.Cleanup(ts.Close)
			all, asked := examine(t, Patient{Site: ts.URL, OpenKey: keyOf(testKey)})
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

func TestExamineASiteThatMoved(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(newDiscourse(discourse{}))
	t.Cleanup(site.Close)
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, site.URL+r.URL.Path, http.StatusMovedPermanently)
	}))
	t.Cleanup(moved.Close)
	var opened []string
	all, _ := examine(t, Patient{Site: moved.URL, OpenKey: func(at string) (*client.Credential, error) {
		opened = append(opened, at)
		if at != moved.URL {
			return nil, nil
		}
		return keyOf(testKey)(at)
	}})
	must(t, all, CheckRedirects, Warning, "has moved to "+site.URL, "use "+site.URL)
	must(t, all, CheckKey, Problem, "the stored key is for "+moved.URL)
	if !slices.Equal(opened, []string{site.URL, moved.URL}) {
		t.Errorf("keys were looked for at %v", opened)
	}

	down, transport := tlsSite(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, site.URL+r.URL.Path, http.StatusFound)
	}))
	all, _ = examine(t, Patient{Site: down, Transport: transport})
	must(t, all, CheckRedirects, Problem, "from https back to http", "force_https")
	must(t, all, CheckScope, Skipped)

	up, transport := tlsSite(t, func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(0, 0, 3) }, newDiscourse(discourse{}))
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, up+r.URL.Path, http.StatusMovedPermanently)
	}))
	t.Cleanup(plain.Close)
	dial := transport.DialContext
	transport.DialContext = dialPlain(plain.Listener.Addr().String(), dial)
	all, _ = examine(t, Patient{Site: "http://forum.example", Transport: transport})
	must(t, all, CheckTLS, Warning, "renew")
	must(t, all, CheckEncryption, OK, "on to https")
	must(t, all, CheckRedirects, Warning, "use https://forum.example")

	transport.CloseIdleConnections()
	transport.DialContext = dialPlain(site.Listener.Addr().String(), dial)
	all, _ = examine(t, Patient{Site: "http://forum.example", Transport: transport})
	must(t, all, CheckEncryption, Warning, "plain http")
}

// dialPlain sends connections for port 80 to addr, and all others on.
func dialPlain(addr string, others func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, to string) (net.Conn, error) {
		if strings.HasSuffix(to, ":80") {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
		return others(ctx, network, to)
	}
}

func TestParseCall(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"GET /a.json": "GET /a.json", " put   /b ": "PUT /b", "/c": "GET /c",
		"": "", "GET": "", "GET a": "", "FROB /a": "", "GET /a b": "",
	} {
		got, err := ParseCall(text)
		if want == "" && err == nil || want != "" && (err != nil || got.String() != want) {
			t.Errorf("ParseCall(%q) = %v, %v; want %q", text, got, err, want)
		}
	}
}
