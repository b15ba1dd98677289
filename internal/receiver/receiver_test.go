package receiver

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func secret(t testing.TB, n int64) userkeys.PushSecret {
	t.Helper()
	s, err := userkeys.NewPushSecret(bytes.Repeat([]byte{7}, 32), n, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const body = `{"secret_key":"0123","url":"https://forum.example","title":"Forum","description":"","notifications":[` +
	`{"notification_type":2,"topic_title":"A topic","excerpt":"Hi <b>","username":"bob","url":"https://forum.example/t/5","client_id":"c1"}]}`

// rig is a receiver, and what it told.
type rig struct {
	*Receiver
	t    *testing.T
	mu   sync.Mutex
	told []Event
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t}
	cfg := Config{
		Path: "/push", Now: func() time.Time { return now },
		Secrets: func(string, string) ([]userkeys.PushSecret, error) {
			return []userkeys.PushSecret{secret(t, 1)}, nil
		},
		Told: func(e Event) { r.mu.Lock(); r.told = append(r.told, e); r.mu.Unlock() },
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.Receiver, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// push sends a body, signed with the first secret unless id is empty.
func (r *rig) push(id, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r.t.Helper()
	req := signed(r.t, id, body)
	for _, c := range change {
		c(req)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func signed(t testing.TB, id, body string) *http.Request {
	t.Helper()
	req := httptest.NewRequest("POST", "/push", strings.NewReader(body))
	if id != "" {
		h, err := userkeys.SignPush(id, now, []byte(body), secret(t, 1))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(userkeys.PushIDHeader, h.ID)
		req.Header.Set(userkeys.PushTimestampHeader, h.Timestamp)
		req.Header.Set(userkeys.PushSignatureHeader, h.Signature)
	}
	return req
}

func (r *rig) last() Event {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.told) == 0 {
		r.t.Fatal("nothing was told")
	}
	return r.told[len(r.told)-1]
}

func TestReceiverTakesAndRefuses(t *testing.T) {
	t.Parallel()
	unsigned := func(key string) func(*Config) {
		return func(c *Config) { c.AcceptUnsigned, c.SecretKey = true, key }
	}
	only := func(key string) func(*Config) {
		return func(c *Config) { unsigned(key)(c); c.Secrets = nil }
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		name   string
		config func(*Config)
		id     string
		body   string
		change func(*http.Request)
		status int
		result Result
		why    string
	}{
		{"a good push", nil, "m1", body, nil, 200, Verified, ""},
		{"not signed", nil, "", body, nil, 401, Refused, "the push is not signed"},
		{"a changed body", nil, "m1", body, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(body + " ")) }, 401, Refused, "was changed on the way"},
		{"SS21 an old one", func(c *Config) { c.Now = func() time.Time { return now.Add(6 * time.Minute) } }, "m1", body, nil, 401, Refused, "sent 6m0s ago"},
		{"not JSON", nil, "m1", "x", nil, 400, Refused, "not the JSON of a push"},
		{"too large", nil, "m1", body + strings.Repeat(" ", 256<<10), nil, 413, Refused, "larger than"},
		{"another path", nil, "m1", body, func(r *http.Request) { r.URL.Path = "/pu\u202esh" }, 404, Refused, `pushes come to /push, not to "/pu\u202esh"`},
		{"every path", func(c *Config) { c.Path = "/" }, "m1", body, func(r *http.Request) { r.URL.Path = "/other" }, 200, Verified, ""},
		{"a GET", nil, "m1", body, func(r *http.Request) { r.Method = "GET" }, 405, Refused, "a push is a POST"},
		{"Discourse, taken", unsigned(""), "", body, nil, 200, Unsigned, ""},
		{"Discourse, with its key", unsigned("0123"), "", body, nil, 200, Unsigned, ""},
		{"Discourse, with another key", unsigned("01234"), "", body, nil, 401, Refused, "does not have the site's secret_key"},
		{"unsigned may pass, but a bad signature does not", unsigned(""), "m1", body, set("Webhook-Id", "m2"), 401, Refused, "was changed on the way"},
		{"nor half of one", unsigned(""), "", body, set("Webhook-Id", "m2"), 401, Refused, "must be seconds"},
		{"a signed one where nothing can verify", only(""), "m1", body, nil, 200, Unsigned, ""},
		{"secrets that cannot be looked up", func(c *Config) {
			c.Secrets = func(string, string) ([]userkeys.PushSecret, error) { return nil, errors.New("database\nout") }
		}, "m1", body, nil, 503, Broken, "cannot be looked up now: database\ufffdout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.config)
			change := c.change
			if change == nil {
				change = func(*http.Request) {}
			}
			w := r.push(c.id, c.body, change)
			e := r.last()
			if w.Code != c.status || e.Status != c.status || e.Result != c.result || !strings.Contains(e.Why, c.why) || c.why == "" && e.Why != "" {
				t.Errorf("answered %d, told %+v; want %d, %s, %q", w.Code, e, c.status, c.result, c.why)
			}
			if strings.ContainsAny(e.Line(), "\n\u202e") || strings.Contains(e.Line(), "0123") || strings.Contains(w.Body.String(), "database") {
				t.Errorf("shown %q, answered %q", e.Line(), w.Body)
			}
			if got := w.Header().Get("Allow"); (got == "POST") != (c.status == 405) {
				t.Errorf("Allow: %q", got)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  Config
		says string
	}{
		"nothing to verify with": {Config{Path: "/"}, "no secret to verify pushes with"},
		"no path":                {Config{AcceptUnsigned: true}, "begins with a slash"},
		"faults":                 {Config{AcceptUnsigned: true, Path: "/", Faults: Faults{Status: 200}}, "from 300 to 599"},
	} {
		if _, err := New(c.cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
