package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/testkit/discourse"
	"userkeys/internal/wiring"
)

const testKey = "0123456789abcdef0123456789abcdef"

var testPair = sync.OnceValue(func() *client.KeyPair {
	k, err := client.NewKeyPair(2048)
	if err != nil {
		panic(err)
	}
	return k
})

// examine examines with a key pair that is there already, and a count of the requests.
func examine(t *testing.T, cfg Config) ([]Finding, []string) {
	t.Helper()
	var asked []string
	cfg.KeyPair = testPair()
	cfg.Asked = func(method, address string) { asked = append(asked, method+" "+address) }
	return Examine(t.Context(), cfg), asked
}

// must wants a finding of that check and state with these texts in what it says or advises.
func must(t *testing.T, all []Finding, c Check, s State, texts ...string) {
	t.Helper()
	for _, f := range all {
		good := f.Check == c && f.State == s
		for _, text := range texts {
			good = good && strings.Contains(f.Says+"\n"+f.Advice, text)
		}
		if good {
			return
		}
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	t.Errorf("no finding %s: %s with %q in\n%s", c, s, texts, b)
}

func problems(all []Finding) []Finding {
	var out []Finding
	for _, f := range all {
		if f.State == Problem || f.State == Warning {
			out = append(out, f)
		}
	}
	return out
}

// storedKey is the key that alice has given on a site.
func storedKey(t *testing.T, s *testkit.Site, scopes string) (*testkit.App, func(string) (*client.Credential, error)) {
	t.Helper()
	s.User("alice")
	app := s.App("doctor-test", scopes).Connect(s.Person("alice"))
	parsed, err := userkeys.ParseScopes(scopes)
	if err != nil {
		t.Fatal(err)
	}
	c := &client.Credential{Site: s.URL, Key: app.Key, ClientID: "doctor-test", Scopes: parsed, Username: "alice"}
	return app, func(site string) (*client.Credential, error) {
		if site != s.URL {
			return nil, nil
		}
		return c, nil
	}
}

func TestExamineAHealthySite(t *testing.T) {
	t.Parallel()
	s := testkit.NewSite(t, dbtest.SQLite(t))
	s.Set("cors_origins", "https://app.example")
	s.Set("allowed_user_api_auth_redirects", "https://app.example/done")
	_, open := storedKey(t, s, "read,session_info")
	before := s.Keys()
	all, asked := examine(t, Config{
		Site: s.URL, Scopes: userkeys.Scopes{"read", "notifications"}, Redirect: "https://app.example/done", ExpiresIn: time.Hour,
		PushURL: "https://push.example/hook", Calls: []Call{{"GET", "/notifications.json"}}, Origin: "https://app.example", OpenKey: open,
	})
	if bad := problems(all); len(bad) > 0 {
		t.Errorf("a healthy site has %+v", bad)
	}
	must(t, all, CheckKey, OK, "works", "read,session_info")
	must(t, all, CheckEnd, OK, "180 days without use")
	must(t, all, CheckPreflight, OK, "https://app.example")
	must(t, all, CheckCORS, OK, "may read")
	must(t, all, CheckPush, Skipped, "allowed_user_api_push_urls: https://push.example/hook")
	must(t, all, CheckLimits, OK, "20 requests of a key a minute and 2880 a day")
	order := []Check{
		CheckAddress, CheckConnection, CheckEncryption, CheckRedirects, CheckClock, CheckProtocol, CheckPolicy, CheckScope, CheckScope,
		CheckRedirect, CheckLoopback, CheckPush, CheckLifetime, CheckKey, CheckEnd, CheckAnswers, CheckCall, CheckTrust, CheckLimits, CheckPreflight, CheckCORS,
	}
	for i, f := range all {
		if i >= len(order) || f.Check != order[i] {
			t.Fatalf("finding %d is %s; want the order %v", i, f.Check, order)
		}
	}
	if len(asked) > 8 {
		t.Errorf("%d requests: %v", len(asked), asked)
	}
	if after := s.Keys(); len(after) != len(before) {
		t.Errorf("there were %d keys and are %d", len(before), len(after))
	}
}

func TestExamineFindsWhatASiteDoesNotAllow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		settings []string
		config   Config
		check    Check
		state    State
		texts    []string
	}{
		{"a scope", nil, Config{Scopes: userkeys.Scopes{"read", "write"}}, CheckScope, Problem, []string{"write: not allowed", "allow_user_api_key_scopes: write"}},
		{"the other scope is told to be good", nil, Config{Scopes: userkeys.Scopes{"read", "write"}}, CheckScope, OK, []string{"read: allowed"}},
		{"a scope that nobody knows", nil, Config{Scopes: userkeys.Scopes{"frob"}}, CheckScope, Problem, []string{"frob"}},
		{"keys at all", []string{"allow_user_api_keys", "false"}, Config{}, CheckPolicy, Problem, []string{"allow_user_api_keys"}},
		{"scopes are not asked then", []string{"allow_user_api_keys", "false"}, Config{}, CheckScope, Skipped, []string{"no new keys"}},
		{"a redirect", nil, Config{Redirect: "https://app.example/done?state=1"}, CheckRedirect, Problem, []string{"allowed_user_api_auth_redirects: https://app.example/done?*"}},
		{"a redirect that is none", nil, Config{Redirect: "javascript:alert(1)"}, CheckRedirect, Problem, []string{"no address"}},
		{"a loopback redirect", []string{"allow_user_api_key_loopback_redirects", "false"}, Config{Redirect: "http://127.0.0.1:1/x"}, CheckRedirect, Problem, []string{"allow_user_api_key_loopback_redirects"}},
		{"the loopback", []string{"allow_user_api_key_loopback_redirects", "false"}, Config{}, CheckLoopback, Warning, []string{"allow_user_api_key_loopback_redirects", "device flow"}},
		{"the loopback, and no device flow", []string{"allow_user_api_key_loopback_redirects", "false", "allow_user_api_key_device_auth", "false"}, Config{}, CheckLoopback, Warning, []string{"--paste"}},
		{"so long a life", []string{"max_user_api_key_expiry_days", "3"}, Config{ExpiresIn: 96 * time.Hour}, CheckLifetime, Problem, []string{"max_user_api_key_expiry_days", "at most after 3 days"}},
		{"a life of halves", nil, Config{ExpiresIn: time.Second / 2}, CheckLifetime, Problem, []string{"whole number"}},
		{"push without a scope", nil, Config{PushURL: "https://push.example"}, CheckPush, Problem, []string{"notifications"}},
		{"push whose scope is not allowed", []string{"allow_user_api_key_scopes", "read"}, Config{PushURL: "https://push.example", Scopes: userkeys.Scopes{"read", "push"}}, CheckPush, Problem, []string{"allow_user_api_key_scopes"}},
		{"push to no address", nil, Config{PushURL: "ftp://push.example"}, CheckPush, Problem, []string{"no http"}},
		{"push in the clear", nil, Config{PushURL: "http://push.example", Scopes: userkeys.Scopes{"push"}}, CheckPush, Warning, []string{"plain http"}},
		{"an origin", nil, Config{Origin: "https://app.example"}, CheckPreflight, Problem, []string{"Access-Control-Allow-Origin is missing", "lacks User-Api-Key", "cors_origins: https://app.example"}},
		{"an origin's answer", nil, Config{Origin: "https://app.example"}, CheckCORS, Problem, []string{"Access-Control-Allow-Origin is missing"}},
		{"an origin with a path", nil, Config{Origin: "https://app.example/"}, CheckPreflight, Problem, []string{"is no origin"}},
		{"a call, of the scopes asked for", nil, Config{Calls: []Call{{"POST", "/posts.json"}}}, CheckCall, Problem, []string{"scope write is missing", "--scopes read,write"}},
		{"a call that no scope opens", nil, Config{Calls: []Call{{"GET", "relative"}}}, CheckCall, Warning, []string{"no scope that is known here"}},
		{"limits of its own", []string{"max_user_api_reqs_per_minute", "7"}, Config{}, CheckLimits, OK, []string{"7 requests of a key a minute"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := testkit.NewSite(t, dbtest.SQLite(t))
			for i := 0; i < len(tt.settings); i += 2 {
				s.Set(tt.settings[i], tt.settings[i+1])
			}
			tt.config.Site = s.URL
			all, _ := examine(t, tt.config)
			must(t, all, tt.check, tt.state, tt.texts...)
		})
	}
}

func TestExamineTheKey(t *testing.T) {
	t.Parallel()
	const scopes = "read,session_info"
	tests := []struct {
		name  string
		harm  func(t *testing.T, s *testkit.Site, app *testkit.App, c *client.Credential)
		check Check
		state State
		texts []string
	}{
		{name: "revoked", check: CheckKey, state: Problem, texts: []string{"revoked", "userkeys login "}, harm: func(t *testing.T, _ *testkit.Site, app *testkit.App, _ *client.Credential) {
			app.Call("POST", "/user-api-key/revoke").Must(t, http.StatusOK)
		}},
		{name: "ended", check: CheckKey, state: Problem, texts: []string{"the key ended at"}, harm: func(_ *testing.T, s *testkit.Site, _ *testkit.App, c *client.Credential) {
			c.ExpiresAt = s.Clock.Now().Add(-time.Hour)
		}},
		{name: "ends soon", check: CheckEnd, state: Warning, texts: []string{"in 3 days", "userkeys login"}, harm: func(_ *testing.T, s *testkit.Site, _ *testkit.App, c *client.Credential) {
			c.ExpiresAt = s.Clock.Now().Add(73 * time.Hour)
		}},
		{name: "ends soon and can be renewed", check: CheckEnd, state: Warning, texts: []string{"renew it"}, harm: func(_ *testing.T, s *testkit.Site, _ *testkit.App, c *client.Credential) {
			c.ExpiresAt, c.KeyPair = s.Clock.Now().Add(73*time.Hour), testPair()
		}},
		{name: "lacks a scope", check: CheckCall, state: Problem, texts: []string{"POST /posts.json", "scope write is missing", scopes + ",write"}, harm: func(*testing.T, *testkit.Site, *testkit.App, *client.Credential) {}},
		{name: "opens nothing that reads", check: CheckKey, state: Skipped, texts: []string{"push"}, harm: func(_ *testing.T, _ *testkit.Site, _ *testkit.App, c *client.Credential) {
			c.Scopes = userkeys.Scopes{"push"}
		}},
		{name: "of another address", check: CheckKey, state: Problem, texts: []string{"https://old.example"}, harm: func(_ *testing.T, _ *testkit.Site, _ *testkit.App, c *client.Credential) {
			c.Site = "https://old.example"
		}},
		{name: "used too often", check: CheckLimits, state: Warning, texts: []string{"wait ", "user_api_key_limiter_60_secs"}, harm: func(t *testing.T, s *testkit.Site, app *testkit.App, _ *client.Credential) {
			s.Set("max_user_api_reqs_per_minute", "1")
			app.Call("GET", "/session/current.json").Must(t, http.StatusOK)
		}},
		{name: "used too often, as the key sees it", check: CheckKey, state: Warning, texts: []string{"429"}, harm: func(t *testing.T, s *testkit.Site, app *testkit.App, _ *client.Credential) {
			s.Set("max_user_api_reqs_per_minute", "1")
			app.Call("GET", "/session/current.json").Must(t, http.StatusOK)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := testkit.NewSite(t, dbtest.SQLite(t))
			app, open := storedKey(t, s, scopes)
			c, err := open(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			tt.harm(t, s, app, c)
			all, _ := examine(t, Config{Site: s.URL, OpenKey: open, Calls: []Call{{"POST", "/posts.json"}}})
			must(t, all, tt.check, tt.state, tt.texts...)
		})
	}
}

func TestExamineWithoutTheKey(t *testing.T) {
	t.Parallel()
	s := testkit.NewSite(t, dbtest.SQLite(t))
	all, _ := examine(t, Config{Site: s.URL, OpenKey: func(string) (*client.Credential, error) { return nil, nil }})
	must(t, all, CheckKey, Skipped, "userkeys login "+s.URL)
	all, _ = examine(t, Config{Site: s.URL, OpenKey: func(string) (*client.Credential, error) {
		return nil, userkeys.Errorf(userkeys.InvalidCredentials, "this is not the passphrase")
	}})
	must(t, all, CheckKey, Warning, "this is not the passphrase")
}

// tlsSite is a site behind a certificate made by an authority of the test's own, and a transport that trusts it.
func tlsSite(t *testing.T, change func(*x509.Certificate), handler http.Handler) (string, *http.Transport) {
	t.Helper()
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "The test's authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().AddDate(-3, 0, 0), NotAfter: time.Now().AddDate(3, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"forum.example"}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	if change != nil {
		change(leaf)
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, &authorityKey.PublicKey, authorityKey)
	if err != nil {
		t.Fatal(err)
	}
	if authority, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if der, err = x509.CreateCertificate(rand.Reader, leaf, authority, &leafKey.PublicKey, authorityKey); err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewUnstartedServer(handler)
	ts.Config.ErrorLog = log.New(io.Discard, "", 0) // it is the client that must tell
	ts.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: leafKey}}}
	ts.StartTLS()
	t.Cleanup(ts.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(authority)
	return "https://forum.example", &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, ts.Listener.Addr().String())
		},
	}
}

func TestExamineTLS(t *testing.T) {
	t.Parallel()
	good := handler(t, discourse.New)
	tests := []struct {
		name   string
		change func(*x509.Certificate)
		trust  func(*tls.Config)
		state  State
		texts  []string
	}{
		{"good", nil, nil, OK, []string{"good until"}},
		{"ends soon", func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(0, 0, 5) }, nil, Warning, []string{"in 4 days", "renew"}},
		{"expired", func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(0, 0, -1) }, nil, Problem, []string{"expired at", "renew"}},
		{"not yet", func(c *x509.Certificate) { c.NotBefore = time.Now().AddDate(0, 0, 1) }, nil, Problem, []string{"only from", "clock of this machine"}},
		{"wrong name", func(c *x509.Certificate) { c.DNSNames = []string{"other.example", "a.example"} }, nil, Problem, []string{"other.example, a.example, not for forum.example", "good until"}},
		{"unknown authority", nil, func(c *tls.Config) { c.RootCAs = x509.NewCertPool() }, Problem, []string{"The test's authority", "SSL_CERT_FILE"}},
		{"no version in common", nil, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, Problem, []string{"no secure connection"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			site, transport := tlsSite(t, tt.change, good)
			if tt.trust != nil {
				tt.trust(transport.TLSClientConfig)
			}
			all, _ := examine(t, Config{Site: site, Transport: transport})
			must(t, all, CheckTLS, tt.state, tt.texts...)
			if tt.state == Problem {
				must(t, all, CheckProtocol, Skipped, "secure connection")
			}
		})
	}
}

func TestExamineUnreachable(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // a listener that nobody accepts from: it swallows what is sent
	hangsUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(hangsUp.Close)
	plain := discourse.Start(t, discourse.New)
	tests := []struct {
		name string
		cfg  Config
		text []string
	}{
		{"closed port", Config{Site: "http://127.0.0.1:1"}, []string{"connection refused"}},
		{"black hole", Config{Site: "http://" + ln.Addr().String(), Patience: 200 * time.Millisecond}, []string{"no answer within 200ms", "firewall"}},
		{"hangs up", Config{Site: hangsUp.URL}, []string{"closes the connection"}},
		{"plain http", Config{Site: strings.Replace(plain.URL, "http:", "https:", 1)}, []string{"does not speak https", "write http://"}},
		{"no such name", Config{Site: "https://nothing.example", Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.DNSError{Err: "no such host", Name: "nothing.example", IsNotFound: true}
			},
		}}, []string{"nobody knows the name nothing.example", "spelled"}},
		{"no way", Config{Site: "https://far.example", Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("the cable is cut") },
		}}, []string{"the cable is cut"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all, asked := examine(t, tt.cfg)
			must(t, all, CheckConnection, Problem, tt.text...)
			must(t, all, CheckScope, Skipped, "cannot be reached")
			if len(asked) != 1 {
				t.Errorf("asked %v", asked)
			}
		})
	}
}

func TestExamineEndsInTime(t *testing.T) {
	t.Parallel()
	slow := newForum(t, discourse.Old)
	slow.always(discourse.Fault{Method: http.MethodGet, Delay: time.Hour})
	scopes := userkeys.Scopes{"read", "write", "push", "notifications", "session_info"}
	began := time.Now()
	all, _ := examine(t, Config{Site: slow.URL, Scopes: scopes, Patience: 100 * time.Millisecond, Origin: "https://app.example"})
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	must(t, all, CheckScope, Warning, "cannot")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, Examine(ctx, Config{Site: slow.URL, KeyPair: testPair()}), CheckAddress, Skipped, "no time left")
}

// TestExamineDoesNotRepeatTheKey: some sites quote in a refusal what they were sent.
func TestExamineDoesNotRepeatTheKey(t *testing.T) {
	t.Parallel()
	f := newForum(t, discourse.New, "read")
	f.always(discourse.Fault{Path: sessionPath, Status: http.StatusUnprocessableEntity, Body: `{"errors":["what is ` + f.key.Reveal() + `?"]}`})
	all, _ := examine(t, Config{Site: f.URL, OpenKey: f.open})
	must(t, all, CheckKey, Warning, "what is [key]?")
	hides(t, all, f.key)
}

// TestExamineTriesWhatAppsAskFirst puts the site before a website, as README says.
func TestExamineTriesWhatAppsAskFirst(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		website http.HandlerFunc
		change  func(*wiring.Config)
		scopes  string
		state   State
		texts   []string
	}{
		{"the website has nothing there", http.NotFound, nil, "session_info,notifications", OK, nil},
		{"the website answers itself", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"current_user":{"id":1,"username":"alice"},"unread_notifications":0}`)
		}, nil, "session_info,notifications", OK, nil},
		{"nobody answers", http.NotFound, func(c *wiring.Config) { c.NoFallback = true }, "session_info,notifications", Problem, []string{"404", "--own apps"}},
		{"nobody answers a key that may more", http.NotFound, func(c *wiring.Config) { c.NoFallback = true }, "read", Warning, []string{"404", "--own apps"}},
		{"a page for every path", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		}, nil, "session_info,notifications", Problem, []string{"do not understand", "--own apps"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			website := httptest.NewServer(tt.website)
			t.Cleanup(website.Close)
			options := []testkit.Option{testkit.Behind(website.URL)}
			if tt.change != nil {
				options = append(options, tt.change)
			}
			s := testkit.NewSite(t, dbtest.SQLite(t), options...)
			_, open := storedKey(t, s, tt.scopes)
			all, _ := examine(t, Config{Site: s.URL, OpenKey: open})
			n := 0
			for _, f := range all {
				if f.Check != CheckAnswers {
					continue
				}
				n++
				if f.State != tt.state {
					t.Errorf("%+v, want %s", f, tt.state)
				}
				for _, text := range tt.texts {
					if !strings.Contains(f.Says+f.Advice, text) {
						t.Errorf("%+v says nothing of %s", f, text)
					}
				}
			}
			if want := strings.Count(tt.scopes, ",") + 1; n != want {
				t.Errorf("%d findings of %d: %+v", n, want, all)
			}
		})
	}
}

func TestExamineFindsAnotherNameOfTheSite(t *testing.T) {
	t.Parallel()
	s := testkit.NewSite(t, dbtest.SQLite(t), func(c *wiring.Config) {
		c.BaseURL = &url.URL{Scheme: "https", Host: "forum.example"}
	})
	all, _ := examine(t, Config{Site: s.URL})
	must(t, all, CheckName, Problem, "calls itself https://forum.example", "use https://forum.example", "--url "+s.URL)
}
