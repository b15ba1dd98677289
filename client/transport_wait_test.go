package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"userkeys/client"
)

// answers is a site that gives one answer after another; the last one stays.
type answers struct {
	steps  []func(*http.Request) (*http.Response, error)
	bodies []string // that came in
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	a.bodies = append(a.bodies, body)
	return a.steps[min(len(a.bodies), len(a.steps))-1](r)
}

func status(code int, body string, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

func cut(*http.Request) (*http.Response, error) { return nil, errors.New("connection reset") }

func TestTransportBearsWithLimitsAndOutages(t *testing.T) {
	t.Parallel()
	ok := status(200, "fine")
	minute := status(429, `{"errors":["slow down"],"error_type":"rate_limit","extras":{"wait_seconds":20}}`)
	tests := []struct {
		name    string
		method  string
		maxWait time.Duration
		steps   []func(*http.Request) (*http.Response, error)
		sent    int // how often
		waited  time.Duration
		status  int // 0: an error
	}{
		{"a minute's limit by the header", "POST", time.Minute, steps(status(429, "", "Retry-After", "13"), ok), 2, 13 * time.Second, 200},
		{"a minute's limit by the body only", "GET", time.Minute, steps(minute, ok), 2, 20 * time.Second, 200},
		{"three limits that fit", "PUT", time.Minute, steps(minute, minute, minute, ok), 4, time.Minute, 200},
		{"limits that last longer than the patience", "GET", 50 * time.Second, steps(minute), 3, 40 * time.Second, 429},
		{"a day's limit comes back at once", "GET", time.Minute, steps(status(429, "", "Retry-After", "30000")), 1, 0, 429},
		{"a limit that does not say for how long", "GET", time.Minute, steps(status(429, "")), 1, 0, 429},
		{"no patience", "GET", 0, steps(minute), 1, 0, 429},
		{"out, and says for how long", "GET", time.Minute, steps(status(503, "", "Retry-After", "30"), ok), 2, 30 * time.Second, 200},
		{"out, once", "HEAD", time.Minute, steps(status(502, ""), ok), 2, time.Second, 200},
		{"out for longer", "GET", time.Minute, steps(status(504, "")), 2, time.Second, 504},
		{"an own fault of the site", "GET", time.Minute, steps(status(500, "")), 1, 0, 500},
		{"a write to a site that is out may have happened", "POST", time.Minute, steps(status(503, "", "Retry-After", "1")), 1, 0, 503},
		{"no answer, once", "GET", time.Minute, steps(cut, ok), 2, time.Second, 200},
		{"no answer, again", "GET", time.Minute, steps(cut), 2, time.Second, 0},
		{"no answer to a write: it may have happened", "POST", time.Minute, steps(cut), 1, 0, 0},
		{"no answer to a deletion", "DELETE", time.Minute, steps(cut), 1, 0, 0},
		{"refused", "GET", time.Minute, steps(status(403, "")), 1, 0, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				site := &answers{steps: tt.steps}
				tr := &client.Transport{Credential: &client.Credential{Site: "https://forum.example", Key: testKey}, Base: site, MaxWait: tt.maxWait}
				req, err := http.NewRequestWithContext(t.Context(), tt.method, "https://forum.example/x", strings.NewReader("the body"))
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				resp, err := tr.RoundTrip(req)
				if waited := time.Since(began); waited != tt.waited || len(site.bodies) != tt.sent {
					t.Errorf("sent %d times in %v, want %d in %v", len(site.bodies), waited, tt.sent, tt.waited)
				}
				for _, b := range site.bodies {
					if b != "the body" {
						t.Errorf("the body was %q", b)
					}
				}
				switch {
				case (err == nil) != (tt.status != 0) || err == nil && resp.StatusCode != tt.status:
					t.Errorf("answer %v, %v; want %d", resp, err, tt.status)
				}
			})
		})
	}
}

func steps(s ...func(*http.Request) (*http.Response, error)) []func(*http.Request) (*http.Response, error) {
	return s
}

func TestTransportKeepsTheBodyOfALimit(t *testing.T) {
	t.Parallel()
	const body = `{"errors":["slow down"],"extras":{"wait_seconds":86000}}`
	tr := &client.Transport{Credential: &client.Credential{Site: "https://forum.example", Key: testKey}, Base: &answers{steps: steps(status(429, body))}, MaxWait: time.Minute}
	resp, err := tr.RoundTrip(newRequest(t, t.Context(), "https://forum.example/x"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != body {
		t.Errorf("body %q, %v", got, err)
	}
}

func TestTransportStopsWaitingWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		tr := &client.Transport{Credential: &client.Credential{Site: "https://forum.example", Key: testKey}, Base: &answers{steps: steps(status(429, "", "Retry-After", "30"))}, MaxWait: time.Minute}
		began := time.Now()
		if _, err := tr.RoundTrip(newRequest(t, ctx, "https://forum.example/x")); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("ended after %v with %v", time.Since(began), err)
		}
	})
}

func TestTransportDoesNotRepeatToStrangers(t *testing.T) {
	t.Parallel()
	site := &answers{steps: steps(status(429, "", "Retry-After", "1"))}
	tr := &client.Transport{Credential: &client.Credential{Site: "https://forum.example", Key: testKey}, Base: site, MaxWait: time.Minute}
	if resp, err := tr.RoundTrip(newRequest(t, t.Context(), "https://other.example/x")); err != nil || resp.StatusCode != 429 || len(site.bodies) != 1 {
		t.Errorf("sent %d times: %v", len(site.bodies), err)
	}
}

func newRequest(t *testing.T, ctx context.Context, address string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestTransportHidesTheKeyInRefusals(t *testing.T) {
	t.Parallel()
	body := "you sent " + testKey.Reveal() + " and " + testKey.Reveal()
	tr := &client.Transport{Credential: &client.Credential{Site: "https://forum.example", Key: testKey}, Base: &answers{steps: steps(status(500, body, "X-Sent", testKey.Reveal()))}}
	resp, err := tr.RoundTrip(newRequest(t, t.Context(), "https://forum.example/x"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != "you sent [key] and [key]" || resp.Header.Get("X-Sent") != "[key]" {
		t.Errorf("%q %v %v", got, resp.Header, err)
	}
}
