package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"userkeys"
	"userkeys/client"
)

var pushTime = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func pushSecret(t testing.TB, n int64) userkeys.PushSecret {
	t.Helper()
	s, err := userkeys.NewPushSecret(bytes.Repeat([]byte{7}, 32), n, pushTime)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pushBody is a push of Discourse's shape for clients of a site.
func pushBody(site string, clients ...string) string {
	var each []string
	for _, c := range clients {
		each = append(each, fmt.Sprintf(`{"notification_type":1,"topic_title":"Hello","client_id":%q,"url":%q}`, c, site+"/t/5"))
	}
	return fmt.Sprintf(`{"url":%q,"title":"Forum","description":"","notifications":[%s]}`, site, strings.Join(each, ","))
}

// pushed is a request that brings a body, signed at pushTime; without secrets it is not signed.
func pushed(t testing.TB, id, body string, secrets ...userkeys.PushSecret) *http.Request {
	t.Helper()
	r := httptest.NewRequest("POST", "/push", strings.NewReader(body))
	if len(secrets) == 0 {
		return r
	}
	h, err := userkeys.SignPush(id, pushTime, []byte(body), secrets...)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(userkeys.PushIDHeader, h.ID)
	r.Header.Set(userkeys.PushTimestampHeader, h.Timestamp)
	r.Header.Set(userkeys.PushSignatureHeader, h.Signature)
	return r
}

// verifier knows secrets by "SITE CLIENT".
func verifier(known map[string][]userkeys.PushSecret) client.PushVerifier {
	return client.PushVerifier{
		Secrets: func(site, clientID string) ([]userkeys.PushSecret, error) { return known[site+" "+clientID], nil },
		Now:     func() time.Time { return pushTime.Add(time.Second) },
	}
}

func one(site, id string, s ...userkeys.PushSecret) client.PushVerifier {
	return verifier(map[string][]userkeys.PushSecret{site + " " + id: s})
}

const forum = "https://forum.example"

// Everything that a site may say arrives, and what a page or terminal must not show does not.
func TestVerifyReadsDiscoursesBody(t *testing.T) {
	t.Parallel()
	body := `{"secret_key":"x","url":"https://Forum.example:443/","title":"The\u001b[2J forum","description":"about\nit","new":[1],
	"notifications":[{"notification_type":2,"post_number":3,"topic_title":"A \u202etopic","topic_id":5,"excerpt":"` + strings.Repeat("e", 400) + `","username":"bob",
	"group_name":"g","translated_title":"bob replied","tag":"t","url":"https://forum.example/t/5/3?a=b#c","client_id":"c1","notification_id":77,"more":{}},
	{"client_id":"c1","url":"https://evil.example/","post_number":null,"topic_title":null},{"client_id":"c1","url":"javascript:alert(1)"},
	{"client_id":5},"x",null]}`
	p, err := one(forum, "c1", pushSecret(t, 1)).Verify(pushed(t, "msg_1", body, pushSecret(t, 1)))
	if err != nil {
		t.Fatal(err)
	}
	want := client.Push{
		ID: "msg_1", SentAt: pushTime, Site: forum, Title: "The\ufffd[2J forum", Description: "about it", LeftOut: 3, Body: []byte(body),
		Notifications: []client.PushNotification{
			{
				ClientID: "c1", NotificationID: 77, Type: 2, TopicTitle: "A \ufffdtopic", TopicID: 5, PostNumber: 3, Excerpt: strings.Repeat("e", 400), Username: "bob",
				GroupName: "g", TranslatedTitle: "bob replied", Tag: "t", URL: "https://forum.example/t/5/3?a=b#c",
			},
			{ClientID: "c1"},
			{ClientID: "c1"},
		},
	}
	if diff := cmp.Diff(want, p, cmpopts.IgnoreUnexported(client.Push{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	a, b := pushSecret(t, 1), pushSecret(t, 2)
	good := pushBody(forum, "c1")
	var many []string
	for i := range 65 {
		many = append(many, fmt.Sprint("c", i))
	}
	for _, c := range []struct {
		name   string
		by     client.PushVerifier
		in     *http.Request
		change func(*http.Request)
		status int
		reason string
		says   string
	}{
		{name: "not signed", by: one(forum, "c1", a), in: pushed(t, "1", good), status: 401, reason: "no signature", says: "the push is not signed"},
		{name: "T31 signed for another app", by: one(forum, "c1", a), in: pushed(t, "1", good, b), status: 401, reason: "bad signature", says: "another key's"},
		{name: "T31 an app's own secret for another's client", by: one(forum, "c2", b), in: pushed(t, "1", good, b), status: 401, reason: "bad signature", says: "no secret for the clients"},
		{name: "T31 one site for another", by: one("https://evil.example", "c1", b), in: pushed(t, "1", good, b), status: 401, reason: "bad signature", says: "no secret for the clients"},
		{name: "a changed body", by: one(forum, "c1", a), in: pushed(t, "1", good, a), change: func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(strings.Replace(good, "Hello", "hello", 1)))
		}, status: 401, reason: "bad signature", says: "was changed on the way"},
		{name: "SS21 another id", by: one(forum, "c1", a), in: pushed(t, "1", good, a), change: func(r *http.Request) { r.Header.Set("webhook-id", "2") }, status: 401, reason: "bad signature", says: "was changed on the way"},
		{name: "two ids", by: one(forum, "c1", a), in: pushed(t, "1", good, a), change: func(r *http.Request) { r.Header.Add("webhook-id", "1") }, status: 401, reason: "bad signature", says: "Webhook-Id is there more than once"},
		{name: "SS21 a copy that was kept", by: client.PushVerifier{Secrets: one(forum, "c1", a).Secrets, Now: func() time.Time { return pushTime.Add(301 * time.Second) }}, in: pushed(t, "1", good, a), status: 401, reason: "too old", says: "sent 5m1s ago"},
		{name: "an old push by the real clock", by: client.PushVerifier{Secrets: one(forum, "c1", a).Secrets}, in: pushed(t, "1", good, a), status: 401, reason: "too ", says: "clock is wrong"},
		{name: "too large", by: one(forum, "c1", a), in: pushed(t, "1", good+strings.Repeat(" ", 256<<10), a), status: 413, says: "larger than 262144 bytes"},
		{name: "no JSON", by: one(forum, "c1", a), in: pushed(t, "1", "{", a), status: 400, says: "not the JSON of a push"},
		{name: "no site", by: one(forum, "c1", a), in: pushed(t, "1", `{"url":"","notifications":[]}`, a), status: 400, says: "names no site"},
		{name: "so many clients that each look-up would be a burden", by: one(forum, "c1", a), in: pushed(t, "1", pushBody(forum, many...), a), status: 400, says: "more than 64 clients"},
		{name: "a body that breaks off", by: one(forum, "c1", a), in: pushed(t, "1", good, a), change: func(r *http.Request) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(good), brokenReader{}))
		}, status: 400, says: "broke off"},
		{name: "a database that is out", by: client.PushVerifier{Secrets: func(string, string) ([]userkeys.PushSecret, error) { return nil, errors.New("out") }}, in: pushed(t, "1", good, a), status: 503, says: "cannot be looked up now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.change != nil {
				c.change(c.in)
			}
			p, err := c.by.Verify(c.in)
			e := userkeys.AsError(err)
			if err == nil || !strings.Contains(e.Public, c.says) || !strings.Contains(e.Reason, c.reason) || client.PushStatus(err) != c.status {
				t.Errorf("%v (%q, %d), want %q, %q, %d", err, e.Reason, client.PushStatus(err), c.says, c.reason, c.status)
			}
			if p.Body != nil || p.Notifications != nil {
				t.Errorf("something came beside an error: %+v", p)
			}
		})
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestT31ASecretSpeaksForItsOwnClient: whoever has one app's secret signs a push that also names another's client. The
// receiver of both must take the first one's notification alone.
func TestT31ASecretSpeaksForItsOwnClient(t *testing.T) {
	t.Parallel()
	mine, theirs, older := pushSecret(t, 1), pushSecret(t, 2), pushSecret(t, 3)
	v := verifier(map[string][]userkeys.PushSecret{forum + " mine": {mine, older}, forum + " theirs": {theirs}})
	body := pushBody(forum, "mine", "theirs", "mine")
	clients := func(p client.Push) (out []string) {
		for _, n := range p.Notifications {
			out = append(out, n.ClientID)
		}
		return out
	}
	for _, c := range []struct {
		name    string
		signers []userkeys.PushSecret
		want    []string
	}{
		{"signed with one", []userkeys.PushSecret{mine}, []string{"mine", "mine"}},
		{"signed with the one from before the renewal", []userkeys.PushSecret{older}, []string{"mine", "mine"}},
		{"signed with the other", []userkeys.PushSecret{theirs}, []string{"theirs"}},
		{"signed with both", []userkeys.PushSecret{theirs, mine}, []string{"mine", "theirs", "mine"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := v.Verify(pushed(t, "1", body, c.signers...))
			if got := clients(p); err != nil || !slices.Equal(got, c.want) || p.LeftOut != 3-len(c.want) {
				t.Errorf("%v, %d left out, %v; want %v", got, p.LeftOut, err, c.want)
			}
		})
	}
}

// VerifyPush goes by the real clock.
func TestVerifyPush(t *testing.T) {
	t.Parallel()
	s := pushSecret(t, 1)
	send := func(body string, at time.Time) error {
		h, err := userkeys.SignPush("1", at, []byte(body), s)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header = http.Header{userkeys.PushIDHeader: {h.ID}, userkeys.PushTimestampHeader: {h.Timestamp}, userkeys.PushSignatureHeader: {h.Signature}}
		_, err = client.VerifyPush(r, pushSecret(t, 2), s)
		return err
	}
	now := time.Now()
	if err := send(pushBody(forum, "any"), now); err != nil {
		t.Error(err)
	}
	if err := send(pushBody(forum), now); err != nil {
		t.Errorf("a push without notifications: %v", err)
	}
	if err := send(pushBody(forum, "any"), now.Add(-6*time.Minute)); userkeys.AsError(err).Reason != userkeys.ReasonTooOld {
		t.Error(err)
	}
	if _, err := client.VerifyPush(pushed(t, "1", pushBody(forum, "any"), s)); client.PushStatus(err) != 401 {
		t.Errorf("without a secret: %v", err)
	}
}

func TestReadUnsignedPush(t *testing.T) {
	t.Parallel()
	body := strings.Replace(pushBody(forum, "c1"), "{", `{"secret_key":"0123",`, 1)
	for _, c := range []struct {
		name, body, key string
		status          int
	}{
		{"the right key", body, "0123", 200},
		{"any key", body, "", 200},
		{"another key", body, "0124", 401},
		{"no key", pushBody(forum, "c1"), "0123", 401},
		{"a key that is no text", strings.Replace(body, `"0123"`, "123", 1), "0123", 401},
		{"no JSON", "[]", "", 400},
		{"too large", body + strings.Repeat(" ", 256<<10), "", 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := client.ReadUnsignedPush(pushed(t, "", c.body), c.key)
			if client.PushStatus(err) != c.status || (err == nil) != (len(p.Notifications) == 1) || p.ID != "" {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// TestSS21AReplayIsActedOnOnce: by a push's id, for every secret that signed it, and only once it was done.
func TestSS21AReplayIsActedOnOnce(t *testing.T) {
	t.Parallel()
	a, b := pushSecret(t, 1), pushSecret(t, 2)
	now := pushTime
	guard := client.NewReplayGuard()
	guard.Now = func() time.Time { return now }
	v := verifier(map[string][]userkeys.PushSecret{forum + " c1": {a, b}})
	push := func(id string, secrets ...userkeys.PushSecret) client.Push {
		t.Helper()
		p, err := v.Verify(pushed(t, id, pushBody(forum, "c1"), secrets...))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	did := 0
	act := func(p client.Push, fail error) error {
		return guard.Once(p, func(client.Push) error { did++; return fail })
	}
	out := errors.New("disk full")
	for _, c := range []struct {
		name string
		p    client.Push
		fail error
		want error
		did  int
	}{
		{"what failed", push("1", a, b), out, out, 1},
		{"is tried again", push("1", a, b), nil, nil, 2},
		{"and then not", push("1", a, b), nil, client.ErrPushSeen, 2},
		{"nor by a copy that one signature was taken from", push("1", b), nil, client.ErrPushSeen, 2},
		{"nor by the other", push("1", a), nil, client.ErrPushSeen, 2},
		{"another id", push("2", a), nil, nil, 3},
		{"the same id of another site", push("2", b), nil, nil, 4},
	} {
		if err := act(c.p, c.fail); !errors.Is(err, c.want) || did != c.did {
			t.Errorf("%s: %v, done %d times", c.name, err, did)
		}
	}
	for _, after := range []time.Duration{0, 5 * time.Minute, 9 * time.Minute} {
		now = pushTime.Add(after) // turned at the first
		if err := act(push("1", a), nil); !errors.Is(err, client.ErrPushSeen) {
			t.Errorf("after %v: %v", after, err)
		}
	}
	now = pushTime.Add(9*time.Minute + 59*time.Second)
	if err := act(push("late", a), nil); err != nil {
		t.Error(err)
	}
	now = now.Add(10 * time.Minute) // a push verifies from 5 minutes before its time to 5 after
	if err := act(push("late", a), nil); !errors.Is(err, client.ErrPushSeen) {
		t.Errorf("forgotten while a copy would verify: %v", err)
	}
	now = now.Add(time.Hour)
	if err := act(push("1", a), nil); err != nil {
		t.Errorf("remembered for ever: %v", err)
	}
	unsigned, err := client.ReadUnsignedPush(pushed(t, "", pushBody(forum, "c1")), "")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := act(unsigned, nil); err != nil {
			t.Errorf("an unsigned push has no id, and cannot be known again: %v", err)
		}
	}
}

// TestAReplayOfMoreIsActedOnForWhatIsNew: between two tries a second key may have got the same address. Its client hears of it, and
// the first one's not twice; also where some of it fails, and where one app has the secrets of all.
func TestAReplayOfMoreIsActedOnForWhatIsNew(t *testing.T) {
	t.Parallel()
	a, b := pushSecret(t, 1), pushSecret(t, 2)
	for name, v := range map[string]client.PushVerifier{
		"a secret for each client":   verifier(map[string][]userkeys.PushSecret{forum + " c1": {a}, forum + " c2": {b}}),
		"secrets that speak for all": verifier(map[string][]userkeys.PushSecret{forum + " c1": {a, b}, forum + " c2": {a, b}}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			push := func(clients []string, secrets ...userkeys.PushSecret) client.Push {
				t.Helper()
				p, err := v.Verify(pushed(t, "1", pushBody(forum, clients...), secrets...))
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			guard := client.NewReplayGuard()
			guard.Now = func() time.Time { return pushTime }
			out := errors.New("disk full")
			for _, c := range []struct {
				name string
				p    client.Push
				want error
				got  string
			}{
				{"the first try", push([]string{"c1"}, a), nil, "c1"},
				{"the second fails for the new one", push([]string{"c1", "c2"}, a, b), out, "c2"},
				{"the third", push([]string{"c1", "c2"}, a, b), nil, "c2"},
				{"the fourth", push([]string{"c1", "c2"}, a, b), client.ErrPushSeen, ""},
				{"the first client's alone", push([]string{"c1"}, a), client.ErrPushSeen, ""},
				{"the second client's alone", push([]string{"c2"}, b), client.ErrPushSeen, ""},
			} {
				all := len(c.p.Notifications)
				got := ""
				err := guard.Once(c.p, func(p client.Push) error {
					for _, n := range p.Notifications {
						got += n.ClientID
					}
					if c.want == out {
						return out
					}
					return nil
				})
				if !errors.Is(err, c.want) || got != c.got || len(c.p.Notifications) != all {
					t.Errorf("%s: %v, done for %q, want %q", c.name, err, got, c.got)
				}
			}
		})
	}
}

// Of two that come at the same time one is acted on, and the other's sender tries again; a panic is a failure.
func TestReplayGuardHoldsTheSecondBack(t *testing.T) {
	t.Parallel()
	s := pushSecret(t, 1)
	p, err := one(forum, "c1", s).Verify(pushed(t, "1", pushBody(forum, "c1"), s))
	if err != nil {
		t.Fatal(err)
	}
	guard := client.NewReplayGuard()
	func() {
		defer func() { _ = recover() }()
		_ = guard.Once(p, func(client.Push) error { panic("x") })
	}()
	var did, busy, seen atomic.Int32
	release := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := guard.Once(p, func(client.Push) error { did.Add(1); <-release; return nil })
			switch {
			case errors.Is(err, userkeys.Unavailable):
				if busy.Add(1) == 7 {
					close(release)
				}
				if client.PushStatus(err) != 503 {
					t.Errorf("busy is answered with %d", client.PushStatus(err))
				}
			case errors.Is(err, client.ErrPushSeen):
				seen.Add(1)
			case err != nil:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if did.Load() != 1 || busy.Load() != 7 || seen.Load() != 0 {
		t.Errorf("done %d times, %d held back, %d seen", did.Load(), busy.Load(), seen.Load())
	}
}

func TestPushSecret(t *testing.T) {
	t.Parallel()
	public, err := userkeys.ParsePublicKey(testPair().PublicPEM())
	if err != nil {
		t.Fatal(err)
	}
	secret := pushSecret(t, 5)
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method+r.URL.Path != "GET/user-api-key/push-secret.json" || r.Header.Get(userkeys.KeyHeader) != testKey.Reveal() {
				t.Errorf("%s %s with %v", r.Method, r.URL, r.Header)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	sealed := func(p userkeys.Padding) string {
		text, err := userkeys.SealPushSecret(public, p, secret)
		if err != nil {
			t.Fatal(err)
		}
		return mustJSON(map[string]string{"payload": text})
	}
	forbidden := string(userkeys.Errorf(userkeys.InvalidAccess, "%s", userkeys.NotPermitted).JSON())
	for _, tt := range []struct {
		name    string
		padding userkeys.Padding
		site    http.HandlerFunc
		says    string
		code    userkeys.Code
	}{
		{"with OAEP", userkeys.PaddingOAEP, answer(200, sealed(userkeys.PaddingOAEP)), "", ""},
		{"with OAEP and SHA-256", userkeys.PaddingOAEP256, answer(200, sealed(userkeys.PaddingOAEP256)), "", ""},
		{"with PKCS#1", userkeys.PaddingPKCS1, answer(200, sealed(userkeys.PaddingPKCS1)), "", ""},
		{"a credential that does not say how", "", answer(200, sealed(userkeys.PaddingOAEP)), "", ""},
		{"a site that seals with PKCS#1 whatever was asked", "", answer(200, sealed(userkeys.PaddingPKCS1)), "", ""},
		{"a Discourse", "", answer(404, `{"errors":["not found"],"error_type":"not_found"}`), "it is a Discourse, which does not sign its pushes, or an older userkeys", userkeys.NotFound},
		{"a key without push", "", answer(403, forbidden), "without a push URL that the site allows, or without the scope push or notifications", userkeys.InvalidAccess},
		{"a dead key", "", answer(403, string(userkeys.ErrInvalidKey.JSON())), "no longer takes the key", userkeys.InvalidAccess},
		{"an outage", "", answer(500, ""), "the site answered 500", userkeys.Internal},
		{"an answer for somebody else", userkeys.PaddingPKCS1, answer(200, sealed(userkeys.PaddingOAEP)), "not made for this key", userkeys.InvalidParameters},
		{"nothing sealed", "", answer(200, `{}`), "it is empty", userkeys.InvalidParameters},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(tt.site)
			t.Cleanup(s.Close)
			c := &client.Credential{Site: s.URL, Key: testKey, KeyPair: testPair(), Padding: tt.padding}
			got, err := c.PushSecret(t.Context(), nil)
			if tt.says == "" {
				if err != nil || !got.Equal(secret) {
					t.Errorf("%v", err)
				}
				return
			}
			if err == nil || !strings.Contains(client.Explain(err), tt.says) || !errors.Is(err, tt.code) || !got.IsZero() {
				t.Errorf("%v: %q; want %q", err, client.Explain(err), tt.says)
			}
		})
	}
	_, err = (&client.Credential{Site: forum, Key: testKey}).PushSecret(t.Context(), nil)
	if err == nil || !strings.Contains(client.Explain(err), "that is not kept here") {
		t.Errorf("without a key pair: %v", err)
	}
}

// FuzzPush: whatever comes to a push URL does not panic, and nothing of it leads elsewhere or steers a terminal.
func FuzzPush(f *testing.F) {
	f.Add(pushBody(forum, "c1"))
	f.Add(`{"url":"https://a.example/f","notifications":[{"client_id":"c","url":"https://a.example/f/../x","topic_title":"\u001b[2J\u2028"}]}`)
	f.Add(`{"url":"HTTPS://x:443/?","notifications":[null,1,{"url":"//y"},{"post_number":1e99}]}`)
	f.Add(`{"URL":"x.example","Notifications":{}}`)
	s := pushSecret(f, 1)
	f.Fuzz(func(t *testing.T, body string) {
		p, err := client.PushVerifier{
			Secrets: func(string, string) ([]userkeys.PushSecret, error) { return []userkeys.PushSecret{s}, nil },
			Now:     func() time.Time { return pushTime },
		}.Verify(pushed(t, "1", body, s))
		if err != nil {
			if client.PushStatus(err) == 200 {
				t.Errorf("%v is answered as a success", err)
			}
			return
		}
		for _, n := range p.Notifications {
			for _, text := range []string{p.Title, p.Description, n.TopicTitle, n.Excerpt, n.Username, n.GroupName, n.TranslatedTitle, n.Tag} {
				if text != userkeys.Printable(text) || strings.ContainsAny(text, "\r\n") {
					t.Errorf("would be shown: %q", text)
				}
			}
			if u, err := url.Parse(n.URL); n.URL != "" && (err != nil || !client.OnSite(p.Site, u)) {
				t.Errorf("leads to %q from %s", n.URL, p.Site)
			}
		}
	})
}

// ExampleVerifyPush is the handler of an app with one key. The secret comes from [client.Credential.PushSecret].
func ExampleVerifyPush() {
	machine := bytes.Repeat([]byte{7}, 32)
	secret, err := userkeys.NewPushSecret(machine, 1, pushTime)
	if err != nil {
		panic(err)
	}
	once := client.NewReplayGuard()
	handler := func(w http.ResponseWriter, r *http.Request) {
		push, err := client.VerifyPush(r, secret)
		if err == nil {
			err = once.Once(push, func(push client.Push) error {
				for _, n := range push.Notifications {
					fmt.Println(push.Title, "-", n.TopicTitle)
				}
				return nil
			})
		}
		w.WriteHeader(client.PushStatus(err))
	}
	body := pushBody(forum, "c1")
	signed, err := userkeys.SignPush("msg_1", time.Now(), []byte(body), secret)
	if err != nil {
		panic(err)
	}
	for range 2 { // the site did not hear the first answer
		r := httptest.NewRequest("POST", "/push", strings.NewReader(body))
		r.Header.Set(userkeys.PushIDHeader, signed.ID)
		r.Header.Set(userkeys.PushTimestampHeader, signed.Timestamp)
		r.Header.Set(userkeys.PushSignatureHeader, signed.Signature)
		w := httptest.NewRecorder()
		handler(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// Forum - Hello
	// 200
	// 200
}
