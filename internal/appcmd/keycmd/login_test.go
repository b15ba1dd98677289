package keycmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/cli"
	"userkeys/internal/cli/clitest"
	"userkeys/internal/testkit/nettest"
)

// newAppSite is a site whose person always approves, with a small API.
func newAppSite(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /user-api-key/new", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Auth-Api-Version", "4")
		q := r.URL.Query()
		if r.Method == http.MethodHead {
			return
		}
		public, err := userkeys.ParsePublicKey(q.Get("public_key"))
		if err != nil {
			t.Error(err)
			return
		}
		sealed, err := userkeys.Payload{Key: clitest.Key, Nonce: q.Get("nonce"), API: 4}.Seal(public, userkeys.Padding(q.Get("padding")))
		if err != nil {
			t.Error(err)
			return
		}
		if to := q.Get("auth_redirect"); to != "" {
			http.Redirect(w, r, to+"?payload="+url.QueryEscape(sealed), http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, sealed)
	})
	mux.HandleFunc("GET /.well-known/user-api-key", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(userkeys.Description{APIVersion: 4, Open: true, Scopes: []userkeys.DescribedScope{{Name: "read"}, {Name: "write"}, {Name: "notifications"}}, Redirects: userkeys.DescribedRedirect{Paste: true, Loopback: true}})
	})
	mux.HandleFunc("GET /user-api-key/new.json", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write(userkeys.Errorf(userkeys.NotLoggedIn, "sign in").JSON())
	})
	mux.HandleFunc("/", appAPI)
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)
	return ts
}

func appAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	refuse := func(e *userkeys.Error) {
		if e.RetryAfter > 0 {
			w.Header().Set("Retry-After", "13")
		}
		w.WriteHeader(e.Code.Status())
		_, _ = w.Write(e.JSON())
	}
	switch r.URL.Path {
	case "/notifications.json":
		_, _ = io.WriteString(w, `{"notifications":[]}`)
	case "/session/current.json":
		_, _ = io.WriteString(w, `{"current_user":{"id":1,"username":"alice"}}`)
	case "/echo", "/forum/echo":
		body, _ := io.ReadAll(r.Body)
		_ = json.NewEncoder(w).Encode(map[string]string{
			"method": r.Method, "target": r.RequestURI, "body": string(body), "type": r.Header.Get("Content-Type"),
			"key": map[bool]string{true: "right"}[r.Header.Get(userkeys.KeyHeader) == clitest.Key],
			"x":   r.Header.Get("X-Mine"),
		})
	case "/revoked":
		refuse(userkeys.ErrInvalidKey)
	case "/write":
		refuse(&userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted, Reason: "missing scope: write"})
	case "/password":
		w.Header().Set("WWW-Authenticate", `Basic realm="staff"`)
		w.WriteHeader(401)
	case "/other-403":
		w.WriteHeader(403)
	case "/limited":
		refuse(&userkeys.Error{Code: userkeys.RateLimited, Public: "slow down", Reason: "limit: 20 per 60 s", RetryAfter: 13e9})
	case "/invalid":
		refuse(&userkeys.Error{Code: userkeys.InvalidParameters, Public: "raw is missing\x1b[2J"})
	case "/broken":
		w.WriteHeader(502)
	case "/starting":
		w.Header().Set("Retry-After", "13")
		w.WriteHeader(503)
	case "/moved":
		w.Header().Set("Location", "https://evil.example/\u202e")
		w.WriteHeader(302)
	default:
		w.WriteHeader(404)
	}
}

// browserOf plays the person's browser.
func browserOf(t *testing.T, page *string) func(context.Context, string) error {
	return func(_ context.Context, address string) error {
		resp, err := http.Get(address)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		*page = string(b)
		return err
	}
}

func TestLoginStoresTheKey(t *testing.T) {
	keys := clitest.StoreKeys(t)
	site := newAppSite(t)
	var page string
	o := clitest.Execute(t, loginCommand(browserOf(t, &page)), "", "--loopback", site.URL, "--scopes", "read,write", "--name", "My app")
	if o.Code != 0 || !strings.Contains(o.Out, "Logged in to "+site.URL+" as alice") || !strings.Contains(o.Out, site.URL+"/user-api-key/new?application_name=My+app") {
		t.Fatalf("login: %+v", o)
	}
	if !strings.Contains(page, "You can close this window") {
		t.Errorf("the browser shows %q", page)
	}
	all := clitest.Stored(t, keys)
	if id, err := keys.ClientID(); err != nil || len(id) != 32 || all[0].ClientID != id {
		t.Errorf("the installation's id is %q, %v", id, err)
	}
	c, err := keys.Credential(all[0])
	if err != nil || len(all) != 1 || c.Key != clitest.Key || c.Username != "alice" || c.Scopes.String() != "read,write" || all[0].CreatedAt.IsZero() {
		t.Errorf("stored %+v, %v", all, err)
	}
	raw, err := os.ReadFile(keys.Path())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("PRIVATE KEY")) {
		t.Error("the private key of a key without an end was kept")
	}
	o = clitest.Execute(t, loginCommand(browserOf(t, &page)), "", "--loopback", site.URL, "--client-id", "mine")
	if again := clitest.Stored(t, keys); o.Code != 0 || len(again) != 1 || again[0].ClientID != "mine" {
		t.Errorf("a second login leaves %+v", again)
	}
}

func TestLoginByPaste(t *testing.T) {
	keys := clitest.StoreKeys(t)
	site := newAppSite(t)
	in, typed := io.Pipe()
	cmd := loginCommand(func(context.Context, string) error { t.Error("a browser was opened"); return nil })
	out := &watched{seen: func(text string) bool {
		_, rest, ok := strings.Cut(text, "approve:\n\n")
		address, _, ok2 := strings.Cut(rest, "\n")
		if !ok || !ok2 {
			return false
		}
		var page string
		if err := browserOf(t, &page)(t.Context(), address); err != nil {
			t.Error(err)
		}
		go func() { _, _ = io.WriteString(typed, "\n  "+strings.ReplaceAll(page, "\n", "\r\n  ")) }() // never closed: completeness ends it
		return true
	}}
	cmd.SetIn(in)
	cmd.SetOut(out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs([]string{site.URL, "--paste"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := clitest.Stored(t, keys); len(all) != 1 {
		t.Errorf("stored %+v", all)
	}
	if strings.Contains(out.text.String(), clitest.Key) {
		t.Error("the key was printed")
	}
}

// watched calls seen with all that was written, until it returns true.
type watched struct {
	text bytes.Buffer
	seen func(string) bool
}

func (w *watched) Write(p []byte) (int, error) {
	w.text.Write(p)
	if w.seen != nil && w.seen(w.text.String()) {
		w.seen = nil
	}
	return len(p), nil
}

func TestLoginJSONKeepsTalkOffStandardOutput(t *testing.T) {
	clitest.StoreKeys(t)
	site := newAppSite(t)
	var page string
	o := clitest.Execute(t, loginCommand(browserOf(t, &page)), "", "--loopback", site.URL, "--json")
	var got struct{ Site, Username, File string }
	if err := json.Unmarshal([]byte(o.Out), &got); err != nil || got.Site != site.URL || got.Username != "alice" || got.File == "" {
		t.Errorf("printed %q: %v", o.Out, err)
	}
	if !strings.Contains(o.Err, "/user-api-key/new?") {
		t.Errorf("the address is not on standard error: %q", o.Err)
	}
}

func TestLoginSaysWhatWentWrong(t *testing.T) {
	site := newAppSite(t)
	gone := "http://" + nettest.ReserveAddress(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	staff := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="staff"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer staff.Close()
	nobody := func(context.Context, string) error { return nil }
	tests := []struct {
		name string
		in   string
		args []string
		code int
		says string
	}{
		{"no site there", "", []string{gone}, cli.ExitUnreachable, "cannot reach " + gone + ": connection refused;"},
		{"no address", "", nil, cli.ExitUsage, "usage: login SITE"},
		{"unknown flag", "", []string{site.URL, "--key"}, cli.ExitUsage, "unknown flag: --key; see login --help"},
		{"not such a site", "", []string{plain.URL}, cli.ExitFailure, "gives no user API keys"},
		{"a password of a web server", "", []string{staff.URL}, cli.ExitRefused, "asks for a password of its own; this says nothing about the key"},
		{"not an address", "", []string{"ftp://x"}, cli.ExitUsage, "begins with https://"},
		{"no scopes", "", []string{site.URL, "--scopes", ""}, cli.ExitUsage, "no scope"},
		{"a key pasted", clitest.Key[:31] + "0\n", []string{site.URL, "--paste"}, cli.ExitFailure, "it looks like a key"},
		{"nothing pasted", "", []string{site.URL, "--paste"}, cli.ExitFailure, "this is no payload: it is empty"},
		{"nobody approves", "", []string{site.URL, "--loopback", "--no-browser", "--timeout", "2s"}, cli.ExitUnapproved, "nobody approved within 2s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys := clitest.StoreKeys(t)
			o := clitest.Execute(t, loginCommand(nobody), tt.in, tt.args...)
			if o.Code != tt.code || !strings.Contains(o.Err, tt.says) {
				t.Errorf("code %d, said %q; want %d and %q", o.Code, o.Err, tt.code, tt.says)
			}
			if all := clitest.Stored(t, keys); len(all) != 0 {
				t.Errorf("stored %+v", all)
			}
		})
	}
}

func TestLoginOpensTheBrowserUnlessToldNotTo(t *testing.T) {
	site := newAppSite(t)
	for _, tt := range []struct {
		args []string
		want bool
	}{{[]string{"--loopback"}, true}, {[]string{"--no-browser", "--loopback"}, false}, {[]string{"--paste"}, false}} {
		clitest.StoreKeys(t)
		opened := false
		cmd := loginCommand(func(context.Context, string) error { opened = true; return errors.New("none here") })
		clitest.Execute(t, cmd, "", append([]string{site.URL, "--timeout", "3s"}, tt.args...)...)
		if opened != tt.want {
			t.Errorf("login %v opened a browser: %v", tt.args, opened)
		}
	}
}

// TestLoginNamesTheDevice: a person who has the program on several machines can tell its keys apart.
func TestLoginNamesTheDevice(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"laptop": "userkeys on laptop", "": "userkeys", " \n": "userkeys", "m\u00fcller-pc": "userkeys on m\u00fcller-pc",
		strings.Repeat("h", 300): "userkeys on " + strings.Repeat("h", 80) + "...",
	} {
		if got := appName(host, nil); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
	if got := appName("laptop", errors.New("no name")); got != "userkeys" {
		t.Errorf("a machine that does not know its name: %q", got)
	}
	name := loginCommand(nil).Flags().Lookup("name").DefValue
	if host, err := os.Hostname(); name != appName(host, err) {
		t.Errorf("the default is %q", name)
	}
}
