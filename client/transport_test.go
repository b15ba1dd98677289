package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"userkeys"
	"userkeys/client"
)

// recorder answers every request itself and keeps the headers.
type recorder struct{ header http.Header }

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.header = req.Header
	return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}, Request: req}, nil
}

func TestTransportSendsTheKeyToItsSiteOnly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, site, to string
		want           bool
	}{
		{"own site", "https://forum.example", "https://forum.example/posts.json", true},
		{"root", "https://forum.example", "https://forum.example", true},
		{"usual port written", "https://forum.example", "https://forum.example:443/", true},
		{"other case", "https://forum.example", "https://FORUM.example/", true},
		{"folder", "https://example.com/forum", "https://example.com/forum/posts.json", true},
		{"folder itself", "https://example.com/forum", "https://example.com/forum", true},
		{"IPv6", "http://[::1]:80", "http://[::1]/", true},
		{"other host", "https://forum.example", "https://evil.example/", false},
		{"host below", "https://forum.example", "https://a.forum.example/", false},
		{"host that ends alike", "https://forum.example", "https://evilforum.example/", false},
		{"host in the user name", "https://forum.example", "https://forum.example@evil.example/", false},
		{"other port", "https://forum.example", "https://forum.example:8443/", false},
		{"plain http", "https://forum.example", "http://forum.example/", false},
		{"neighbour of the folder", "https://example.com/forum", "https://example.com/other/", false},
		{"folder that begins alike", "https://example.com/forum", "https://example.com/forum2/", false},
		{"out of the folder", "https://example.com/forum", "https://example.com/forum/../other/", false},
		{"out of the folder, encoded", "https://example.com/forum", "https://example.com/forum/%2e%2e/other/", false},
		{"out of the folder, slash encoded", "https://example.com/forum", "https://example.com/forum/..%2fother/", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			base := &recorder{}
			tr := &client.Transport{Credential: &client.Credential{Site: tt.site, Key: testKey, ClientID: "c1"}, Base: base}
			u, err := url.Parse(tt.to)
			if err != nil {
				t.Fatal(err)
			}
			// A caller's own copy of the key must not slip through either.
			req := &http.Request{Method: "GET", URL: u, Header: http.Header{
				userkeys.KeyHeader: {testKey.Reveal()}, userkeys.ClientIDHeader: {"mine"}, "X-Other": {"stays"},
			}}
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			wantKey, wantClient := "", ""
			if tt.want {
				wantKey, wantClient = testKey.Reveal(), "c1"
			}
			if got := base.header.Get(userkeys.KeyHeader); got != wantKey {
				t.Errorf("the key went to %s: %v, want %v", tt.to, got != "", tt.want)
			}
			if got := base.header.Get(userkeys.ClientIDHeader); got != wantClient {
				t.Errorf("client id %q went to %s, want %q", got, tt.to, wantClient)
			}
			if base.header.Get("X-Other") != "stays" || req.Header.Get(userkeys.ClientIDHeader) != "mine" {
				t.Error("the caller's request was changed, or its headers lost")
			}
		})
	}
}

func TestTransportDoesNotFollowARedirectWithTheKey(t *testing.T) {
	t.Parallel()
	var elsewhere http.Header
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { elsewhere = r.Header.Clone() }))
	defer evil.Close()
	var own http.Header
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/within" {
			own = r.Header.Clone()
			return
		}
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusTemporaryRedirect)
	}))
	defer site.Close()
	cred := &client.Credential{Site: site.URL, Key: testKey, ClientID: "c1"}
	if resp, err := cred.Client(nil).Get(site.URL + "/?to=" + url.QueryEscape(evil.URL)); err != nil || resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("a redirect was followed unasked: %v, %v", resp, err)
	}
	hc := cred.Client(&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }})
	for _, to := range []string{evil.URL + "/", site.URL + "/within"} {
		resp, err := hc.Post(site.URL+"/?to="+url.QueryEscape(to), "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if elsewhere == nil || elsewhere.Get(userkeys.KeyHeader) != "" || elsewhere.Get(userkeys.ClientIDHeader) != "" {
		t.Errorf("the other host was sent %v", elsewhere)
	}
	if own.Get(userkeys.KeyHeader) != testKey.Reveal() {
		t.Error("a redirect within the site lost the key")
	}
}

type closed struct {
	io.Reader
	closed bool
}

func (c *closed) Close() error { c.closed = true; return nil }

func TestTransportWithoutCredentialRefuses(t *testing.T) {
	t.Parallel()
	body := &closed{Reader: strings.NewReader("x")}
	req, err := http.NewRequest("POST", "https://forum.example/", body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&client.Transport{}).RoundTrip(req); !errors.Is(err, userkeys.NotLoggedIn) || !body.closed {
		t.Errorf("RoundTrip = %v, body closed %v; want a refusal and a closed body", err, body.closed)
	}
}

func TestCredentialClientLeavesItsBaseAlone(t *testing.T) {
	t.Parallel()
	base := &http.Client{Transport: &recorder{}}
	hc := (&client.Credential{Site: "https://forum.example", Key: testKey}).Client(base)
	if _, ok := base.Transport.(*recorder); !ok || hc == base {
		t.Error("the caller's client now sends the key")
	}
}

func TestCredentialURL(t *testing.T) {
	t.Parallel()
	c := &client.Credential{Site: "https://example.com/forum"}
	for path, want := range map[string]string{
		"/posts.json?a=b%20c":          "https://example.com/forum/posts.json?a=b%20c",
		"/":                            "https://example.com/forum/",
		"/search.json?q=a b":           "https://example.com/forum/search.json?q=a%20b",
		"/a b/\u00fc?q=\u00fc|x%20y+z": "https://example.com/forum/a%20b/%C3%BC?q=%C3%BC%7Cx%20y+z",
		"/?ids[]=1&q='{a}'":            "https://example.com/forum/?ids[]=1&q='%7Ba%7D'",
		"":                             "", "posts.json": "", ".evil.example/": "", "/../other": "", "@evil.example/": "",
	} {
		if got, err := c.URL(path); got != want || (err == nil) != (want != "") {
			t.Errorf("URL(%q) = %q, %v; want %q", path, got, err, want)
		}
	}
	if got, err := (&client.Credential{Site: "https://forum.example"}).URL("//evil.example/"); err == nil && !strings.HasPrefix(got, "https://forum.example/") {
		t.Errorf("a path with two slashes leads to %s", got)
	}
}

func TestCredentialJSONHasNoKey(t *testing.T) {
	t.Parallel()
	if s := mustJSON(client.Credential{Site: "https://forum.example", Key: testKey}); strings.Contains(s, testKey.Reveal()) {
		t.Errorf("the key shows in %s", s)
	}
}
