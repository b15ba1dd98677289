package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"userkeys"
	"userkeys/client"
)

// deviceSite answers the device flow from memory, under the test's own clock.
type deviceSite struct {
	begin string                                        // JSON of device.json; empty: the usual
	polls []func(*http.Request) (*http.Response, error) // one after another; the last stays

	t     *testing.T
	asked map[string]string
	at    []time.Duration // of the polls
	since time.Time
}

func (s *deviceSite) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if r.Header.Get("Content-Type") != "application/json" {
		s.t.Errorf("%s has the type %q", r.URL.Path, r.Header.Get("Content-Type"))
	}
	if r.URL.Path == "/user-api-key/device.json" {
		s.since = time.Now()
		if err := json.Unmarshal(body, &s.asked); err != nil {
			return nil, err
		}
		answer := s.begin
		if answer == "" {
			answer = `{"device_code":"` + strings.Repeat("ab", 32) + `","user_code":"ABCD-EFGH","verification_uri":"https://forum.example/user-api-key/activate","verification_uri_with_request":"https://forum.example/user-api-key/activate?request=T","expires_in":600,"interval":5}`
		}
		return status(200, answer)(r)
	}
	s.at = append(s.at, time.Since(s.since))
	return s.polls[min(len(s.at), len(s.polls))-1](r)
}

func polled(state string) func(*http.Request) (*http.Response, error) {
	return status(200, mustJSON(map[string]string{"status": state}))
}

func (s *deviceSite) authorized(nonce string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		public, err := userkeys.ParsePublicKey(s.asked["public_key"])
		if err != nil {
			return nil, err
		}
		if nonce == "" {
			nonce = s.asked["nonce"]
		}
		sealed, err := userkeys.Payload{Key: testKey, Nonce: nonce, API: 4}.Seal(public, userkeys.PaddingOAEP)
		if err != nil {
			return nil, err
		}
		return status(200, mustJSON(map[string]string{"status": "authorized", "payload": sealed}))(r)
	}
}

func (s *deviceSite) request() client.Request {
	return client.Request{Site: "https://forum.example", ApplicationName: "Test app", ClientID: "c1", Scopes: userkeys.Scopes{"read"}, KeyPair: testPair()}
}

func TestDeviceWait(t *testing.T) {
	t.Parallel()
	pending, expired := polled("authorization_pending"), polled("expired_token")
	tests := []struct {
		name  string
		polls func(s *deviceSite) []func(*http.Request) (*http.Response, error)
		want  error // nil: a key
		at    string
	}{
		{"approved at the second poll", func(s *deviceSite) []func(*http.Request) (*http.Response, error) {
			return steps(pending, s.authorized(""))
		}, nil, "[5s 10s]"},
		{"denied", func(s *deviceSite) []func(*http.Request) (*http.Response, error) {
			return steps(pending, polled("access_denied"))
		}, client.ErrDenied, "[5s 10s]"},
		{"expired", func(s *deviceSite) []func(*http.Request) (*http.Response, error) { return steps(pending, expired) }, client.ErrCodeExpired, "[5s 10s]"},
		{"DV7 the answer with the key was lost", func(s *deviceSite) []func(*http.Request) (*http.Response, error) {
			return steps(pending, cut, expired)
		}, client.ErrAnswerLost, "[5s 10s 20s]"},
		{"a lost poll that was none with the key", func(s *deviceSite) []func(*http.Request) (*http.Response, error) {
			return steps(cut, status(502, "<html>"), pending, expired)
		}, client.ErrCodeExpired, "[5s 15s 35s 40s]"},
		{"the network comes back", func(s *deviceSite) []func(*http.Request) (*http.Response, error) {
			return steps(cut, s.authorized(""))
		}, nil, "[5s 15s]"},
		{"too often", func(s *deviceSite) []func(*http.Request) (*http.Response, error) {
			return steps(status(429, "", "Retry-After", "40"), s.authorized(""))
		}, nil, "[5s 45s]"},
		{"slow down, as RFC 8628 has it", func(s *deviceSite) []func(*http.Request) (*http.Response, error) {
			return steps(polled("slow_down"), pending, s.authorized(""))
		}, nil, "[5s 15s 25s]"},
		{"refused for good", func(s *deviceSite) []func(*http.Request) (*http.Response, error) { return steps(status(404, "")) }, userkeys.NotFound, "[5s]"},
		{"a state that nobody knows", func(s *deviceSite) []func(*http.Request) (*http.Response, error) {
			return steps(polled("later\x1b[2J"))
		}, userkeys.Internal, "[5s]"},
		{"another nonce", func(s *deviceSite) []func(*http.Request) (*http.Response, error) {
			return steps(s.authorized("somebody else's"))
		}, client.ErrWrongNonce, "[5s]"},
		{"the site stays away", func(s *deviceSite) []func(*http.Request) (*http.Response, error) { return steps(cut) }, userkeys.Unavailable, "[5s 15s 35s 1m15s 2m15s 3m15s 4m15s 5m15s]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			testPair()
			synctest.Test(t, func(t *testing.T) {
				site := &deviceSite{t: t}
				site.polls = tt.polls(site)
				hc := &http.Client{Transport: site}
				d, err := client.BeginDevice(t.Context(), hc, site.request())
				if err != nil {
					t.Fatal(err)
				}
				c, err := d.Wait(t.Context(), hc)
				if !errors.Is(err, tt.want) || (tt.want == nil) != (c != nil) {
					t.Errorf("Wait = %v, %v; want %v", c, err, tt.want)
				}
				if c != nil && c.Key != testKey {
					t.Error("another key")
				}
				if at := fmt.Sprint(site.at); at != tt.at {
					t.Errorf("polled at %s, want %s", at, tt.at)
				}
				if err != nil && strings.ContainsRune(err.Error(), '\x1b') {
					t.Errorf("the error steers the terminal: %q", err)
				}
			})
		})
	}
}

func TestDeviceWaitEnds(t *testing.T) {
	t.Parallel()
	testPair()
	synctest.Test(t, func(t *testing.T) {
		site := &deviceSite{t: t, polls: steps(polled("authorization_pending"))}
		hc := &http.Client{Transport: site}
		d, err := client.BeginDevice(t.Context(), hc, site.request())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Wait(t.Context(), hc); !errors.Is(err, client.ErrCodeExpired) {
			t.Errorf("after the code's life: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		if _, err := d.Wait(ctx, hc); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the caller's patience: %v", err)
		}
	})
}

func TestBeginDevice(t *testing.T) {
	t.Parallel()
	const code = `"device_code":"d","user_code":"ABCD-EFGH"`
	tests := []struct{ name, answer, says string }{
		{"the least", `{` + code + `,"verification_uri":"https://forum.example/a"}`, ""},
		{"intervals out of bounds", `{` + code + `,"verification_uri":"https://forum.example/a","interval":1e308,"expires_in":-3}`, ""},
		{"no code", `{"verification_uri":"https://forum.example/a"}`, "no code"},
		{"a code that fills the screen", `{"device_code":"d","user_code":"` + strings.Repeat("A", 40) + `","verification_uri":"https://forum.example/a"}`, "no code"},
		{"an address elsewhere", `{` + code + `,"verification_uri":"https://evil.example/login"}`, "not its own"},
		{"another name of the site", `{` + code + `,"verification_uri":"http://127.0.0.1:8080/user-api-key/activate"}`, "log in to http://127.0.0.1:8080, or have it started with --url "},
		{"another name, in a folder", `{` + code + `,"verification_uri":"https://www.example/forum/user-api-key/activate"}`, "log in to https://www.example/forum, or"},
		{"the other address elsewhere", `{` + code + `,"verification_uri":"https://forum.example/a","verification_uri_with_request":"javascript:alert(1)"}`, "not its own"},
		{"no address", `{` + code + `}`, "not its own"},
		{"no JSON", `<html>`, "not the JSON"},
		{"a list", `[]`, "not the JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			site := &deviceSite{t: t, begin: tt.answer}
			r := site.request()
			r.AuthRedirect, r.PushURL, r.ExpiresIn = "app://x", "https://push.example/p", time.Hour
			d, err := client.BeginDevice(t.Context(), &http.Client{Transport: site}, r)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Fatalf("error %v, want %q", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d.Interval != 5*time.Second || d.ExpiresIn != 10*time.Minute || d.VerificationURIWithRequest != "https://forum.example/a" {
				t.Errorf("%+v", *d)
			}
			if s := fmt.Sprintf("%v %#v", d, d); strings.Contains(s, `"d"`) || strings.Contains(s, "device_code") {
				t.Errorf("it shows itself: %s", s)
			}
			if site.asked["auth_redirect"] != "" || site.asked["push_url"] == "" || site.asked["expires_in_seconds"] != "3600" || site.asked["padding"] != "oaep" {
				t.Errorf("asked for %v", site.asked)
			}
		})
	}
}

// TestCheck looks at the answers of every generation.
func TestCheck(t *testing.T) {
	t.Parallel()
	page, login := status(200, "<html>", "Content-Type", "text/html"), status(302, "", "Location", "/login")
	tests := []struct {
		name   string
		model  func(*http.Request) (*http.Response, error) // of new.json
		page   func(*http.Request) (*http.Response, error) // of new
		want   error
		reason string
	}{
		{"good, a program is not let in", status(403, `{"errors":["x"],"error_type":"not_logged_in"}`), nil, nil, ""},
		{"good, to the login", login, nil, nil, ""},
		{"good, ready", status(200, `{"state":"ready"}`), nil, nil, ""},
		{"a reason", status(200, `{"state":"generic_error","errors":["no scope x\u001b[2J"],"reason":"scope not allowed"}`), nil, userkeys.ScopeNotAllowed, "scope not allowed"},
		{"a redirect that is not allowed", status(200, `{"state":"generic_error","reason":"redirect not allowed"}`), nil, userkeys.RedirectNotAllowed, "redirect not allowed"},
		{"no reason", status(200, `{"state":"generic_error"}`), nil, userkeys.InvalidAccess, ""},
		{"trust", status(200, `{"state":"no_trust_level"}`), nil, userkeys.UserNotAllowed, ""},
		{"malformed", status(400, `{"errors":["padding"],"error_type":"invalid_parameters"}`), nil, userkeys.InvalidParameters, ""},
		{"before models, good", status(404, ""), login, nil, ""},
		{"before models, refused", status(404, ""), page, userkeys.InvalidAccess, ""},
		{"before models, an empty answer", status(200, ""), login, nil, ""},
		{"before models, broken key", status(406, ""), status(500, ""), userkeys.Internal, ""},
		{"gone", cut, nil, userkeys.Unavailable, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := client.Begin((&deviceSite{}).request())
			if err != nil {
				t.Fatal(err)
			}
			want, err := url.Parse(a.URL)
			if err != nil {
				t.Fatal(err)
			}
			err = a.Check(t.Context(), &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.URL.RawQuery != want.RawQuery {
					t.Errorf("asked for %s", r.URL.RawQuery)
				}
				if r.URL.Path == "/user-api-key/new.json" {
					return tt.model(r)
				}
				return tt.page(r)
			})})
			var e *userkeys.Error
			if !errors.Is(err, tt.want) || errors.As(err, &e) && e.Reason != tt.reason {
				t.Errorf("Check = %v, want %v", err, tt.want)
			}
			if err != nil && strings.ContainsRune(err.Error(), '\x1b') {
				t.Errorf("the error steers the terminal: %q", err)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
