package main

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
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/keystore"
	"userkeys/internal/testkit/nettest"
)

const appTestKey = "0123456789abcdef0123456789abcdef"

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
		sealed, err := userkeys.Payload{Key: appTestKey, Nonce: q.Get("nonce"), API: 4}.Seal(public, userkeys.Padding(q.Get("padding")))
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
			"key": map[bool]string{true: "right"}[r.Header.Get(userkeys.KeyHeader) == appTestKey],
			"x":   r.Header.Get("X-Mine"),
		})
	case "/revoked":
		refuse(userkeys.ErrInvalidKey)
	case "/write":
		refuse(&userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted, Reason: "missing scope: write"})
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

type outcome struct {
	code     int
	out, err string
}

// execute runs a command as main does.
func execute(t *testing.T, cmd *cobra.Command, in string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.SetIn(strings.NewReader(in))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	o := outcome{out: out.String(), err: errs.String()}
	var coded interface{ ExitCode() int }
	switch {
	case errors.As(err, &coded):
		o.code = coded.ExitCode()
	case err != nil:
		o.code = 1
	}
	if err != nil {
		o.err += err.Error()
	}
	if strings.Contains(o.out+o.err, appTestKey) {
		t.Errorf("the key was printed:\n%s\n%s", o.out, o.err)
	}
	return o
}

// storeKeys writes keys for sites into a folder of the test's own. Tests that use it set the
// environment, so they do not run in parallel.
func storeKeys(t *testing.T, sites ...string) *keystore.Store {
	t.Helper()
	t.Setenv(configDirEnv, filepath.Join(t.TempDir(), "keys"))
	t.Setenv(keystoreEnv, "plain")
	store, err := openKeyStore(&cobra.Command{})
	if err != nil {
		t.Fatal(err)
	}
	for _, site := range sites {
		if _, err := store.Add(&client.Credential{Site: site, ClientID: "c1", Key: appTestKey, Scopes: userkeys.Scopes{"read"}}); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// stored are the accounts that are stored.
func stored(t *testing.T, store *keystore.Store) keystore.Accounts {
	t.Helper()
	all, err := store.Accounts()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLoginStoresTheKey(t *testing.T) {
	keys := storeKeys(t)
	site := newAppSite(t)
	var page string
	o := execute(t, loginCommand(browserOf(t, &page)), "", "--loopback", site.URL, "--scopes", "read,write", "--name", "My app")
	if o.code != 0 || !strings.Contains(o.out, "Logged in to "+site.URL+" as alice") || !strings.Contains(o.out, site.URL+"/user-api-key/new?application_name=My+app") {
		t.Fatalf("login: %+v", o)
	}
	if !strings.Contains(page, "You can close this window") {
		t.Errorf("the browser shows %q", page)
	}
	all := stored(t, keys)
	if id, err := keys.ClientID(); err != nil || len(id) != 32 || all[0].ClientID != id {
		t.Errorf("the installation's id is %q, %v", id, err)
	}
	c, err := keys.Credential(all[0])
	if err != nil || len(all) != 1 || c.Key != appTestKey || c.Username != "alice" || c.Scopes.String() != "read,write" || all[0].CreatedAt.IsZero() {
		t.Errorf("stored %+v, %v", all, err)
	}
	raw, err := os.ReadFile(keys.Path())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("PRIVATE KEY")) {
		t.Error("the private key of a key without an end was kept")
	}
	o = execute(t, loginCommand(browserOf(t, &page)), "", "--loopback", site.URL, "--client-id", "mine")
	if again := stored(t, keys); o.code != 0 || len(again) != 1 || again[0].ClientID != "mine" {
		t.Errorf("a second login leaves %+v", again)
	}
}

func TestLoginByPaste(t *testing.T) {
	keys := storeKeys(t)
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
	if all := stored(t, keys); len(all) != 1 {
		t.Errorf("stored %+v", all)
	}
	if strings.Contains(out.text.String(), appTestKey) {
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
	storeKeys(t)
	site := newAppSite(t)
	var page string
	o := execute(t, loginCommand(browserOf(t, &page)), "", "--loopback", site.URL, "--json")
	var got struct{ Site, Username, File string }
	if err := json.Unmarshal([]byte(o.out), &got); err != nil || got.Site != site.URL || got.Username != "alice" || got.File == "" {
		t.Errorf("printed %q: %v", o.out, err)
	}
	if !strings.Contains(o.err, "/user-api-key/new?") {
		t.Errorf("the address is not on standard error: %q", o.err)
	}
}

func TestLoginSaysWhatWentWrong(t *testing.T) {
	site := newAppSite(t)
	gone := "http://" + nettest.ReserveAddress(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	nobody := func(context.Context, string) error { return nil }
	tests := []struct {
		name string
		in   string
		args []string
		code int
		says string
	}{
		{"no site there", "", []string{gone}, exitUnreachable, "cannot reach " + gone + ": connection refused;"},
		{"no address", "", nil, exitUsage, "usage: login SITE"},
		{"unknown flag", "", []string{site.URL, "--key"}, exitUsage, "unknown flag: --key; see login --help"},
		{"not such a site", "", []string{plain.URL}, exitFailure, "gives no user API keys"},
		{"not an address", "", []string{"ftp://x"}, exitUsage, "begins with https://"},
		{"no scopes", "", []string{site.URL, "--scopes", ""}, exitUsage, "no scope"},
		{"a key pasted", appTestKey[:31] + "0\n", []string{site.URL, "--paste"}, exitFailure, "it looks like a key"},
		{"nothing pasted", "", []string{site.URL, "--paste"}, exitFailure, "this is no payload: it is empty"},
		{"nobody approves", "", []string{site.URL, "--loopback", "--no-browser", "--timeout", "2s"}, exitUnapproved, "nobody approved within 2s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys := storeKeys(t)
			o := execute(t, loginCommand(nobody), tt.in, tt.args...)
			if o.code != tt.code || !strings.Contains(o.err, tt.says) {
				t.Errorf("code %d, said %q; want %d and %q", o.code, o.err, tt.code, tt.says)
			}
			if all := stored(t, keys); len(all) != 0 {
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
		storeKeys(t)
		opened := false
		cmd := loginCommand(func(context.Context, string) error { opened = true; return errors.New("none here") })
		execute(t, cmd, "", append([]string{site.URL, "--timeout", "3s"}, tt.args...)...)
		if opened != tt.want {
			t.Errorf("login %v opened a browser: %v", tt.args, opened)
		}
	}
}

func TestBrowserVariableChoosesTheProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell script as the browser")
	}
	dir := t.TempDir()
	script, seen := filepath.Join(dir, "browser"), filepath.Join(dir, "seen")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nprintf '%s' \"$*\" > "+seen+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	spaced := filepath.Join(dir, "Program Files", "it's a browser.exe")
	if err := errors.Join(os.Mkdir(filepath.Dir(spaced), 0o700), os.Symlink(script, spaced)); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		spaced: "https://x.example/?a=b&c", `"` + spaced + `"`: "https://x.example/?a=b&c", `"` + spaced + `" --new "%s"`: "--new https://x.example/?a=b&c",
		strings.NewReplacer(" ", `\ `, "'", `\'`).Replace(spaced) + " -p 'a \\ b'": `-p a \ b https://x.example/?a=b&c`, "/nowhere:" + spaced: "https://x.example/?a=b&c",
		script + ` "" %s`: " https://x.example/?a=b&c",
		script:            "https://x.example/?a=b&c", "/nowhere:" + script: "https://x.example/?a=b&c", script + " --new %s": "--new https://x.example/?a=b&c",
	} {
		t.Setenv("BROWSER", value)
		if err := openBrowser(t.Context(), "https://x.example/?a=b&c"); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(seen); err != nil || string(got) != want {
			t.Errorf("BROWSER=%s was given %q, %v", value, got, err)
		}
	}
	t.Setenv("BROWSER", "/nowhere")
	if err := openBrowser(t.Context(), "https://x.example"); err == nil {
		t.Error("a browser that is not there counts as opened")
	}
}
