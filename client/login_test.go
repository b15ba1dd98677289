package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/client"
)

// browse plays the person's browser: it follows redirects and reads the page.
func browse(ctx context.Context, address string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	return string(page), err
}

// samePair compares key pairs, which show nothing of themselves.
var samePair = cmp.Comparer(func(a, b *client.KeyPair) bool { return a == b })

func TestLoginByLoopback(t *testing.T) {
	t.Parallel()
	site := newFakeSite(t)
	var page string
	c, err := client.Login(t.Context(), client.Options{
		Request: site.request(),
		OpenBrowser: func(ctx context.Context, address string) error {
			var err error
			page, err = browse(ctx, address)
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &client.Credential{
		Site: site.URL, Key: testKey, ClientID: "installation 1", Scopes: userkeys.Scopes{"read"}, Username: "alice", API: 4,
		KeyPair: testPair(), Padding: userkeys.PaddingOAEP,
	}
	if diff := cmp.Diff(want, c, samePair); diff != "" {
		t.Errorf("credential (-want +got):\n%s", diff)
	}
	if !strings.Contains(page, "You can close this window") {
		t.Errorf("the browser shows %s", page)
	}
	if to := site.asked.Get("auth_redirect"); !strings.HasPrefix(to, "http://127.0.0.1:") {
		t.Errorf("the site was asked to answer at %s", to)
	}
	if err := c.Revoke(t.Context(), nil); err != nil {
		t.Errorf("Revoke = %v", err)
	}
	if got := site.lastHeaders().Get(userkeys.ClientIDHeader); got != "installation 1" {
		t.Errorf("the client id sent is %q", got)
	}
}

func TestLoginByPaste(t *testing.T) {
	t.Parallel()
	site := newFakeSite(t)
	var page string
	c, err := client.Login(t.Context(), client.Options{
		Request: site.request(), Flows: []client.Flow{client.FlowPaste},
		OpenBrowser: func(ctx context.Context, address string) error {
			var err error
			page, err = browse(ctx, address)
			return err
		},
		ReadPaste: func(_ context.Context, complete func(string) bool) (string, error) {
			text := ""
			for line := range strings.Lines(page + "what follows is not read\n") {
				if text += line; complete(text) {
					return text, nil
				}
			}
			return text, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Key != testKey || c.Username != "alice" {
		t.Errorf("credential %+v", c)
	}
	if site.asked.Has("auth_redirect") {
		t.Error("a redirect was asked for")
	}
}

func TestLoginKeepsAKeyThatCannotTellItsOwner(t *testing.T) {
	t.Parallel()
	site := newFakeSite(t)
	site.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/session/current.json":
			http.NotFound(w, r)
		case r.URL.Path != "/user-api-key/new":
			site.askFirst(w, r)
		case r.Method == http.MethodHead:
			w.Header().Set("Auth-Api-Version", "4")
		default:
			site.approve(w, r)
		}
	})
	c, err := client.Login(t.Context(), client.Options{
		Request:     site.request(),
		OpenBrowser: func(ctx context.Context, address string) error { _, err := browse(ctx, address); return err },
	})
	if err != nil || c.Username != "" || c.Key != testKey {
		t.Errorf("Login = %+v, %v; want the key without a name", c, err)
	}
}

func TestLoginRefuses(t *testing.T) {
	t.Parallel()
	// One answer waits at a time, so when the third is taken, the first was judged. Then the person gives up.
	open := func(giveUp func()) func(context.Context, string) error {
		return func(ctx context.Context, address string) error {
			go func() {
				defer giveUp()
				for taken := 0; taken < 3; {
					page, err := browse(ctx, address)
					if err != nil {
						return
					}
					if strings.Contains(page, "answer has arrived") {
						taken++
					}
				}
			}()
			return nil
		}
	}
	stopped := errors.New("no browser and no terminal")
	tests := []struct {
		name   string
		change func(*fakeSite, *client.Options)
		want   error
	}{
		{"PK30 another nonce", func(s *fakeSite, o *client.Options) { s.nonce = "somebody else's" }, client.ErrWrongNonce},
		{"a garbled answer", func(s *fakeSite, o *client.Options) {
			open := o.OpenBrowser
			o.OpenBrowser = func(ctx context.Context, address string) error {
				u, err := url.Parse(address)
				if err != nil {
					return err
				}
				return open(ctx, u.Query().Get("auth_redirect")+"?payload=AAAA")
			}
		}, userkeys.InvalidParameters},
		{"the person cannot be reached", func(s *fakeSite, o *client.Options) {
			o.OpenBrowser = func(context.Context, string) error { return stopped }
		}, stopped},
		{"the paste ends", func(s *fakeSite, o *client.Options) {
			o.Flows, o.ReadPaste = []client.Flow{client.FlowPaste}, func(context.Context, func(string) bool) (string, error) { return "", io.EOF }
		}, io.EOF},
		{"nothing pasted", func(s *fakeSite, o *client.Options) {
			o.Flows, o.ReadPaste = []client.Flow{client.FlowPaste}, func(context.Context, func(string) bool) (string, error) { return "", nil }
		}, userkeys.InvalidParameters},
		{"no way to the person", func(s *fakeSite, o *client.Options) { o.OpenBrowser = nil }, userkeys.MissingParameter},
		{"a redirect of one's own", func(s *fakeSite, o *client.Options) { o.Request.AuthRedirect = "app://x" }, userkeys.InvalidParameters},
		{"no such site", func(s *fakeSite, o *client.Options) { s.Close() }, userkeys.Unavailable},
		{"nobody answers", func(s *fakeSite, o *client.Options) {
			o.OpenBrowser = func(context.Context, string) error { return nil }
		}, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			site := newFakeSite(t)
			patience := time.Minute
			if errors.Is(tt.want, context.DeadlineExceeded) {
				patience = time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			o := client.Options{Request: site.request(), OpenBrowser: open(cancel)}
			tt.change(site, &o)
			if c, err := client.Login(ctx, o); !errors.Is(err, tt.want) || c != nil {
				t.Errorf("Login = %v, %v; want %v", c, err, tt.want)
			}
		})
	}
}

// TestRevokeBelievesTheSiteOnly: what stands between must not make an app forget a key that lives.
func TestRevokeBelievesTheSiteOnly(t *testing.T) {
	t.Parallel()
	page := status(200, "<html>please sign in", "Content-Type", "text/html")
	for name, tt := range map[string]struct {
		answer    func(*http.Request) (*http.Response, error)
		revoked   bool
		worthless bool
	}{
		"the site":                       {status(200, `{"success":"OK"}`), true, false},
		"a dead key":                     {status(403, `{"errors":["x"],"error_type":"invalid_access"}`), false, true},
		"a login page":                   {page, false, false},
		"the way to a login page":        {status(302, "", "Location", "https://login.example/"), false, false},
		"a firewall":                     {status(403, "<html>blocked"), false, false},
		"JSON of something else":         {status(200, `{"status":"ok"}`), false, false},
		"nothing":                        {status(204, ""), false, false},
		"a limit, which is the site's":   {status(429, `{"error_type":"rate_limit"}`), false, false},
		"no answer, after one try alone": {cut, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &client.Credential{Site: "https://forum.example", Key: testKey, Scopes: userkeys.Scopes{"read"}}
			hc := &http.Client{Transport: &answers{steps: steps(tt.answer)}}
			err := c.Revoke(t.Context(), hc)
			var api *client.APIError
			if (err == nil) != tt.revoked || errors.As(err, &api) && api.Worthless() != tt.worthless {
				t.Errorf("Revoke = %v", err)
			}
			if alive, err := c.Alive(t.Context(), hc); err == nil && name == "a firewall" || name == "a login page" && err == nil {
				t.Errorf("Alive = %v", alive)
			}
		})
	}
}

// TestLoopbackLoginOutlivesJunk: whoever finds the address on this machine may answer first.
func TestLoopbackLoginOutlivesJunk(t *testing.T) {
	t.Parallel()
	site := newFakeSite(t)
	c, err := client.Login(t.Context(), client.Options{
		Request: site.request(),
		OpenBrowser: func(ctx context.Context, address string) error {
			u, err := url.Parse(address)
			if err != nil {
				return err
			}
			back := u.Query().Get("auth_redirect")
			other := u.Query()
			other.Set("nonce", "somebody else's")
			go func() {
				_, _ = browse(ctx, back+"?payload=AAAA") // that it is not taken shows below
				_, _ = browse(ctx, back+"?payload="+url.QueryEscape(site.seal(other)))
				time.Sleep(100 * time.Millisecond)
				_, _ = browse(ctx, address)
			}()
			return nil
		},
	})
	if err != nil || c.Key != testKey {
		t.Errorf("Login = %v, %v", c, err)
	}
}
