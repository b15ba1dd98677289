package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/client"
)

func TestParseError(t *testing.T) {
	t.Parallel()
	limited := &userkeys.Error{Code: userkeys.RateLimited, Public: "slow down", Reason: "limit: 20 per 60 s", RetryAfter: 12 * time.Second}
	header := func(kv ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Set(kv[i], kv[i+1])
		}
		return h
	}
	tests := []struct {
		name   string
		status int
		header http.Header
		body   string
		want   *client.APIError
		code   userkeys.Code
	}{
		{
			"bad key", 403, nil, string(userkeys.ErrInvalidKey.JSON()),
			&client.APIError{Status: 403, Type: "invalid_access", Reason: "invalid key", Messages: []string{userkeys.NotPermitted}},
			userkeys.InvalidAccess,
		},
		{
			"limit", 429, header("Retry-After", "12", "Discourse-Rate-Limit-Error-Code", "user_api_key_limiter_60_secs"), string(limited.JSON()),
			&client.APIError{
				Status: 429, Type: "rate_limit", Reason: "limit: 20 per 60 s", Messages: []string{"slow down"},
				RetryAfter: 12 * time.Second, LimitCode: "user_api_key_limiter_60_secs",
			},
			userkeys.RateLimited,
		},
		{
			"limit without header", 429, nil, `{"errors":["x"],"extras":{"wait_seconds":7}}`,
			&client.APIError{Status: 429, Messages: []string{"x"}, RetryAfter: 7 * time.Second},
			userkeys.RateLimited,
		},
		{
			"retry at a date", 503, header("Retry-After", "Sun, 22 Nov 2026 10:00:30 GMT", "Date", "Sun, 22 Nov 2026 10:00:00 GMT"), "",
			&client.APIError{Status: 503, RetryAfter: 30 * time.Second},
			userkeys.Unavailable,
		},
		{
			"absurd waits say nothing", 429, header("Retry-After", "99999999999999999999"), `{"extras":{"wait_seconds":1e300}}`,
			&client.APIError{Status: 429},
			userkeys.RateLimited,
		},
		{
			"not logged in", 403, nil, `{"errors":["log in"],"error_type":"not_logged_in"}`,
			&client.APIError{Status: 403, Type: "not_logged_in", Messages: []string{"log in"}},
			userkeys.NotLoggedIn,
		},
		{
			"array", 403, header("Content-Type", "text/plain"), `["BAD CSRF"]`,
			&client.APIError{Status: 403, Messages: []string{"BAD CSRF"}},
			userkeys.InvalidAccess,
		},
		{
			"plain text", 429, header("Content-Type", "text/plain; charset=utf-8"), "Slow down\r\nplease\n",
			&client.APIError{Status: 429, Messages: []string{"Slow down please"}},
			userkeys.RateLimited,
		},
		{
			"page", 404, header("Content-Type", "text/html"), "<h1>no</h1>",
			&client.APIError{Status: 404},
			userkeys.NotFound,
		},
		{
			"terminal control", 400, nil, `{"errors":["a\u001b[2Jb\u202ec"],"reason":"x\ny"}`,
			&client.APIError{Status: 400, Messages: []string{"a\ufffd[2Jb\ufffdc"}, Reason: "x y"},
			userkeys.InvalidParameters,
		},
		{"teapot", 500, nil, `{"errors":"not a list"}`, &client.APIError{Status: 500}, userkeys.Internal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := client.ParseError(tt.status, tt.header, []byte(tt.body))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseError (-want +got):\n%s", diff)
			}
			if !errors.Is(got, tt.code) {
				t.Errorf("errors.Is(%v, %q) is false", got, tt.code)
			}
		})
	}
}

func TestParseErrorIsBounded(t *testing.T) {
	t.Parallel()
	body := `{"errors":["` + strings.Repeat("x", 10_000) + `"` + strings.Repeat(`,"y"`, 1000) + `]}`
	e := client.ParseError(400, nil, []byte(body))
	if len(e.Messages) > 10 || len(e.Messages[0]) > 600 {
		t.Errorf("kept %d messages, the first of %d bytes", len(e.Messages), len(e.Messages[0]))
	}
}

func TestAPIErrorSaysWhatWouldHelp(t *testing.T) {
	t.Parallel()
	e := &client.APIError{Status: 429, Reason: "limit: 20 per 60 s", RetryAfter: 12 * time.Second}
	if got, want := e.Error(), "the site answered 429 Too Many Requests: limit: 20 per 60 s; try again in 12s"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			_, _ = w.Write([]byte(`{"accept":"` + r.Header.Get("Accept") + `"}`))
		case "/html":
			_, _ = w.Write([]byte("<html>"))
		default:
			w.WriteHeader(404)
			_, _ = w.Write([]byte(`{"errors":["no such page"]}`))
		}
	}))
	defer ts.Close()
	do := func(path string, into any) error {
		req, err := http.NewRequestWithContext(t.Context(), "GET", ts.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return client.Do(ts.Client(), req, into)
	}
	var body struct{ Accept string }
	if err := do("/ok", &body); err != nil || body.Accept != "application/json" {
		t.Errorf("Do = %v, read %+v", err, body)
	}
	if err := do("/ok", nil); err != nil {
		t.Errorf("Do without a value to fill = %v", err)
	}
	if err := do("/html", &body); !errors.Is(err, userkeys.Internal) {
		t.Errorf("Do of a page = %v, want a refusal", err)
	}
	var api *client.APIError
	if err := do("/gone", &body); !errors.As(err, &api) || api.Status != 404 {
		t.Errorf("Do of what is not there = %v, want an APIError with 404", err)
	}
}

func TestDoTellsNoAnswerFromNoTime(t *testing.T) {
	t.Parallel()
	ts := httptest.NewServer(http.NotFoundHandler())
	ts.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", ts.URL+"/secret?a=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	err = client.Do(http.DefaultClient, req, nil)
	if !errors.Is(err, userkeys.Unavailable) || strings.Contains(userkeys.AsError(err).Public, "secret") {
		t.Errorf("Do of a site that is gone = %v, want Unavailable with the host only", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := client.Do(http.DefaultClient, req.WithContext(ctx), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Do when cancelled = %v, want context.Canceled", err)
	}
}

// TestRefusalOfAScopeNamesIt: "scope not allowed" alone does not tell a person which of their scopes, nor which there are.
func TestRefusalOfAScopeNamesIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, body, want string }{
		{
			"a scope", `{"errors":["this site knows no scope foo; it allows read"],"error_type":"invalid_access","reason":"scope not allowed"}`,
			"the site answered 403 Forbidden: this site knows no scope foo; it allows read",
		},
		{
			"a dead key", `{"errors":["You are not permitted to view the requested resource."],"error_type":"invalid_access","reason":"invalid key"}`,
			"the site answered 403 Forbidden: invalid key",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := client.ParseError(http.StatusForbidden, http.Header{}, []byte(c.body)).Error(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
