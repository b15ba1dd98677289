package discourse_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"userkeys"
	"userkeys/internal/testkit/discourse"
)

// pair is one key pair for all tests: making one takes long.
var pair = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

var publicPEM = sync.OnceValue(func() string {
	der, err := x509.MarshalPKIXPublicKey(&pair().PublicKey)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
})

// newSite is a site whose clock stands still, with the users alice and bob and
// the administrator admin.
func newSite(t *testing.T, era discourse.Era) *discourse.Site {
	t.Helper()
	s := discourse.Start(t, era)
	s.Clock.Stop()
	s.AddUser(discourse.User{Name: "alice"})
	s.AddUser(discourse.User{Name: "bob"})
	s.AddUser(discourse.User{Name: "admin", Admin: true})
	return s
}

// eachEra runs a test on a site of every era.
func eachEra(t *testing.T, test func(t *testing.T, s *discourse.Site)) {
	t.Parallel()
	for _, era := range discourse.Eras {
		t.Run(string(era), func(t *testing.T) {
			t.Parallel()
			test(t, newSite(t, era))
		})
	}
}

// asked are the parameters of a request for a key, changed by pairs of name
// and value; the value "-" leaves one out.
func asked(changes ...string) url.Values {
	v := url.Values{
		"nonce": {"nonce-1"}, "scopes": {"read,write"}, "client_id": {"client-1"},
		"application_name": {"An app"}, "public_key": {publicPEM()},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		v.Set(changes[i], changes[i+1])
		if changes[i+1] == "-" {
			v.Del(changes[i])
		}
	}
	return v
}

func consentURL(changes ...string) string { return "/user-api-key/new?" + asked(changes...).Encode() }

func open(t *testing.T, padding userkeys.Padding, payload string) userkeys.Payload {
	t.Helper()
	p, err := userkeys.OpenPayload(pair(), padding, payload)
	if err != nil {
		t.Fatalf("the payload does not open: %v", err)
	}
	return p
}

// reply is an answer that was read.
type reply struct {
	*http.Response
	body string
}

func (r reply) must(t *testing.T, status int, texts ...string) reply {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d: %.400s", r.Request.Method, r.Request.URL.Path, r.StatusCode, status, r.body)
	}
	for _, text := range texts {
		if !strings.Contains(r.body, text) {
			t.Errorf("%s %s: the answer lacks %q: %.400s", r.Request.Method, r.Request.URL.Path, text, r.body)
		}
	}
	return r
}

func (r reply) value(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(r.body), &m); err != nil {
		t.Fatalf("%s: %v: %.400s", r.Request.URL.Path, err, r.body)
	}
	return m
}

// app calls a site with a key; without one as a stranger.
type app struct {
	t       *testing.T
	s       *discourse.Site
	key     userkeys.Key
	headers []string // pairs
}

var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (a app) with(headers ...string) app {
	a.headers = append(append([]string(nil), a.headers...), headers...)
	return a
}

// send sends a body: nil, url.Values as a form, anything else as JSON.
func (a app) send(method, path string, body any) (reply, error) {
	var r io.Reader
	kind := ""
	switch b := body.(type) {
	case nil:
	case url.Values:
		r, kind = strings.NewReader(b.Encode()), "application/x-www-form-urlencoded"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return reply{}, err
		}
		r, kind = bytes.NewReader(text), "application/json"
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.s.URL+path, r)
	if err != nil {
		return reply{}, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if a.key != "" {
		req.Header.Set(userkeys.KeyHeader, a.key.Reveal())
	}
	for i := 0; i+1 < len(a.headers); i += 2 {
		req.Header.Set(a.headers[i], a.headers[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return reply{res, string(text)}, err
}

func (a app) do(method, path string, body any) reply {
	a.t.Helper()
	r, err := a.send(method, path, body)
	if err != nil {
		a.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func (a app) get(path string) reply { a.t.Helper(); return a.do("GET", path, nil) }
