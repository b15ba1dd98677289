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
	"userkeys/internal/testkit/discourse"
)

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
			all, _ := examine(t, Config{Site: tt.typed, Transport: refuse})
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
	good := handler(t, discourse.Old)
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
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ts := httptest.NewServer(tt.handle)
			t.Cleanup(ts.Close)
			all, asked := examine(t, Config{Site: ts.URL, OpenKey: keyOf(testKey)})
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
	site := discourse.Start(t, discourse.Middle)
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, site.URL+r.URL.Path, http.StatusMovedPermanently)
	}))
	t.Cleanup(moved.Close)
	var opened []string
	all, _ := examine(t, Config{Site: moved.URL, OpenKey: func(at string) (*client.Credential, error) {
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
	all, _ = examine(t, Config{Site: down, Transport: transport})
	must(t, all, CheckRedirects, Problem, "from https back to http", "force_https")
	must(t, all, CheckScope, Skipped)

	up, transport := tlsSite(t, func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(0, 0, 3) }, handler(t, discourse.Middle))
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, up+r.URL.Path, http.StatusMovedPermanently)
	}))
	t.Cleanup(plain.Close)
	dial := transport.DialContext
	transport.DialContext = dialPlain(plain.Listener.Addr().String(), dial)
	all, _ = examine(t, Config{Site: "http://forum.example", Transport: transport})
	must(t, all, CheckTLS, Warning, "renew")
	must(t, all, CheckEncryption, OK, "on to https")
	must(t, all, CheckRedirects, Warning, "use https://forum.example")

	transport.CloseIdleConnections()
	transport.DialContext = dialPlain(strings.TrimPrefix(site.URL, "http://"), dial)
	all, _ = examine(t, Config{Site: "http://forum.example", Transport: transport})
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
