package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"userkeys"
	"userkeys/site"
)

// moving is a checker with settings for the edge that moves keys and knows one admin API key.
type moving struct {
	*edged
	adminKey string
}

func (moving) Rebind(_ context.Context, a userkeys.Access, clientID string) userkeys.Access {
	a.ClientID = clientID
	return a
}

func (m moving) IsAdminKey(_ context.Context, text string) bool { return text == m.adminKey }

// counting is what an embedder puts around the authority to count checks.
type counting struct {
	Checker
	checks int
}

func (c *counting) Check(ctx context.Context, call site.Call) (userkeys.Access, error) {
	c.checks++
	return c.Checker.Check(ctx, call)
}

// Whatever wraps a Checker and embeds it loses none of what the doors ask.
func TestWrappedCheckerLosesNothing(t *testing.T) {
	t.Parallel()
	const page, feed = "https://app.example", "/feed.rss"
	wrapped := func(t *testing.T) (*counting, string) {
		admin := site.NewAdminKey().Reveal()
		return &counting{Checker: moving{newEdged(t,
			"enable_cors", "true", "cors_origins", page, "user_api_key_parameter_routes", "GET "+feed,
			"max_reqs_per_ip_mode", "block", "max_reqs_per_ip_per_10_seconds", "2",
		), admin}}, admin
	}
	front := func(t *testing.T) (http.Handler, *upstream, *counting, string) {
		c, admin := wrapped(t)
		up := newUpstream(t, nil)
		f, err := NewFront(FrontConfig{Own: identities, Checker: c, Upstream: newProxy(t, ProxyConfig{Upstream: up.url(), Checker: c})})
		if err != nil {
			t.Fatal(err)
		}
		return f, up, c, admin
	}
	t.Run("other origins", func(t *testing.T) {
		t.Parallel()
		f, _, _, _ := front(t)
		w := answerOf(f, from("192.0.2.1", "GET", "/my/apps", userkeys.KeyHeader, aliceKey, "Origin", page))
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != page {
			t.Errorf("the page may not read the answer: %q", got)
		}
	})
	t.Run("limits by address", func(t *testing.T) {
		t.Parallel()
		f, _, _, _ := front(t)
		status := 0
		for range 3 {
			status = answerOf(f, from("192.0.2.1", "GET", "/my/apps")).Code
		}
		if status != http.StatusTooManyRequests {
			t.Errorf("the third request of an address got %d", status)
		}
	})
	t.Run("keys in feeds, moves of keys, checks", func(t *testing.T) {
		t.Parallel()
		c, _ := wrapped(t)
		names := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, _ := userkeys.FromContext(r.Context())
			_, _ = io.WriteString(w, a.Username+" "+a.ClientID)
		})
		w := answerOf(Guard(c)(names), from("192.0.2.1", "GET", feed+"?user_api_key="+aliceKey, userkeys.ClientIDHeader, "tablet"))
		if body := w.Body.String(); body != "alice tablet" || c.checks != 1 {
			t.Errorf("%d checks, and the handler saw %s", c.checks, body)
		}
	})
	t.Run("admin API keys stay here", func(t *testing.T) {
		t.Parallel()
		f, up, _, admin := front(t)
		answerOf(f, from("192.0.2.1", "GET", "/x", "Api-Key", admin))
		if heads := up.got(); len(heads) != 1 || strings.Contains(heads[0], admin) {
			t.Errorf("the upstream got %q", heads)
		}
	})
}
