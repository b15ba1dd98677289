package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
	"userkeys/internal/cli/clitest"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/testkit/discourse"
	"userkeys/internal/wiring"
	"userkeys/server"
	"userkeys/site"
)

// anySite is a site that the app's side is tried on, with alice at its browser.
type anySite interface {
	address() string
	has(f client.Flow) bool
	approve(address string) (string, error) // payload, where it is shown
	activate(address, code string) error
	deny(address, code string) error
	set(setting, value string)
	pass(d time.Duration)
	alive() int // keys that work
	revokeAll()
	notify(title string)
	posted() int
}

// everySite runs a test on a userkeys site and on Discourse of three eras.
func everySite(t *testing.T, test func(t *testing.T, s anySite)) {
	t.Run("userkeys", func(t *testing.T) {
		t.Parallel()
		test(t, newOwnSite(t))
	})
	for _, era := range discourse.Eras {
		t.Run("Discourse "+string(era), func(t *testing.T) {
			t.Parallel()
			d := discourse.Start(t, era)
			d.AddUser(discourse.User{Name: "alice", TrustLevel: 1})
			test(t, &discourseSite{d, d.Browser("alice")})
		})
	}
}

type discourseSite struct {
	*discourse.Site
	alice *discourse.Browser
}

func (s *discourseSite) address() string { return s.URL }
func (s *discourseSite) has(f client.Flow) bool {
	return f == client.FlowPaste || f == client.FlowDevice && s.Era == discourse.New
}
func (s *discourseSite) approve(address string) (string, error) { return s.alice.Approve(address) }
func (s *discourseSite) activate(address, code string) error    { return s.alice.Activate(address, code) }

func (s *discourseSite) deny(address, code string) error { return s.alice.DenyCode(address, code) }
func (s *discourseSite) set(name, value string)          { s.Set(name, value) }
func (s *discourseSite) pass(d time.Duration)            { s.Clock.Pass(d) }
func (s *discourseSite) notify(title string) {
	s.Notify("alice", discourse.Notification{Title: title})
}
func (s *discourseSite) posted() int { return s.Count("POST", "/posts.json") }

func (s *discourseSite) alive() int {
	n := 0
	for _, k := range s.Keys() {
		if k.Good(s.Clock.Now()) {
			n++
		}
	}
	return n
}

func (s *discourseSite) revokeAll() {
	for _, k := range s.Keys() {
		s.Revoke(k.ID)
	}
}

type ownSite struct {
	*testkit.Site
	t     *testing.T
	alice *testkit.Person
	mu    sync.Mutex
	posts int
}

func newOwnSite(t *testing.T) *ownSite {
	s := &ownSite{t: t}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/posts.json" {
			http.NotFound(w, r)
			return
		}
		s.mu.Lock()
		s.posts++
		s.mu.Unlock()
		_, _ = io.WriteString(w, `{"id":1,"topic_id":42,"topic_slug":"t","post_number":1}`)
	}))
	t.Cleanup(upstream.Close)
	s.Site = testkit.NewSite(t, dbtest.SQLite(t), testkit.Behind(upstream.URL), func(cfg *wiring.Config) { cfg.OwnPaths = server.EndpointPaths() })
	s.User("alice")
	s.Set("allow_user_api_key_scopes", "read|write|notifications|session_info|message_bus")
	s.alice = s.Person("alice")
	return s
}

func (s *ownSite) address() string      { return s.URL }
func (s *ownSite) has(client.Flow) bool { return true }

func (s *ownSite) approve(address string) (string, error) {
	page := s.alice.Do(s.alice.Request("GET", address, ""))
	answer := s.alice.Submit(page, "/user-api-key")
	if sealed, ok := answer.Text("user-api-key-payload"); ok {
		return sealed, nil
	}
	return "", visit(answer.Header.Get("Location"))
}

// refuse says no on the consent page.
func (s *ownSite) refuse(address string) error {
	page := s.alice.Do(s.alice.Request("GET", address, ""))
	return visit(s.alice.Submit(page, "/user-api-key/deny").Header.Get("Location"))
}

// visit follows a redirect to a program on this machine.
func visit(address string) error {
	resp, err := http.Get(address)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (s *ownSite) typed(code, action string) error {
	page := s.alice.Submit(s.alice.Get("/user-api-key/activate"), "/user-api-key/activate", "code", code)
	if a := s.alice.Submit(page, "/user-api-key/device/"+action); a.StatusCode != http.StatusSeeOther {
		return fmt.Errorf("%d: %s", a.StatusCode, a.Body)
	}
	return nil
}

func (s *ownSite) activate(_, code string) error { return s.typed(code, "authorize") }
func (s *ownSite) deny(_, code string) error     { return s.typed(code, "deny") }
func (s *ownSite) set(name, value string)        { s.Set(name, value) }
func (s *ownSite) pass(d time.Duration)          { s.Clock.Pass(d) }

func (s *ownSite) alive() int {
	n := 0
	for _, k := range s.Keys() {
		if k.RevokedAt.IsZero() {
			n++
		}
	}
	return n
}

func (s *ownSite) revokeAll() {
	for _, k := range s.Keys() {
		if err := s.Authority.Revoke(s.t.Context(), k.ID, testkit.Command); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *ownSite) notify(title string) {
	n := site.Notification{Type: 1, Data: []byte(fmt.Sprintf(`{"topic_title":%q}`, title))}
	if _, err := s.Inbox.Add(s.t.Context(), site.Announcement{Usernames: []string{"alice"}, Notification: n, Caller: testkit.Command}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *ownSite) posted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts
}

const (
	shownAddress = `(?m)^(http\S+/user-api-key/new\?\S+)$`
	shownCode    = `(?m)^ +(http\S+/user-api-key/activate)\s+([A-Z0-9]{4}-[A-Z0-9]{4})$`
)

// TestThreeCommandsToTheFirstCall is the way from nothing to a call, in every flow of every site.
func TestThreeCommandsToTheFirstCall(t *testing.T) {
	t.Parallel()
	everySite(t, func(t *testing.T, s anySite) {
		for _, f := range []client.Flow{"", client.FlowLoopback, client.FlowDevice, client.FlowPaste} {
			if f != "" && !s.has(f) {
				continue
			}
			t.Run("flow "+string(f), func(t *testing.T) {
				d := newMachine(t)
				d.login(s, f, "--scopes", "read,write")
				if out := d.run(0, "call", "GET", "/session/current.json"); !strings.Contains(out, `"alice"`) {
					t.Errorf("the first call prints %s", out)
				}
				key := strings.TrimSpace(d.run(0, "key", s.address()))
				d.login(s, f, "--scopes", "read,write")
				if n := s.alive(); n != 1 {
					t.Errorf("after a second login %d keys work", n)
				}
				again := strings.TrimSpace(d.run(0, "key", s.address()))
				if out := d.run(0, "sites", "--json"); !strings.Contains(out, `"account": "alice"`) || !strings.Contains(out, `"reachable": true`) {
					t.Errorf("sites prints %s", out)
				}
				d.run(0, "logout", s.address())
				if n := s.alive(); n != 0 {
					t.Errorf("after the logout %d keys work", n)
				}
				d.refuses(1, "there is no stored key", "call", "GET", "/session/current.json")
				d.hides(key, again)
			})
		}
	})
}

// TestLoginsThatFail ends each in one line, and leaves no key that nobody has.
func TestLoginsThatFail(t *testing.T) {
	t.Parallel()
	everySite(t, func(t *testing.T, s anySite) {
		d := newMachine(t)
		if s.has(client.FlowDevice) {
			p := d.start("login", s.address(), "--device")
			m := p.until(shownCode)
			d.refuses(1, "another login to", "login", s.address(), "--paste")
			if err := s.deny(m[1], m[2]); err != nil {
				t.Fatal(err)
			}
			p.ends(cli.ExitUnapproved, "the person refused; nothing was granted")

			p = d.start("login", s.address(), "--device")
			p.until(shownCode)
			s.pass(11 * time.Minute)
			p.ends(cli.ExitUnapproved, "nobody approved the code in time")
		}
		if s.has(client.FlowDevice) && !s.has(client.FlowLoopback) { // it says before it asks that it would refuse
			d.refuses(cli.ExitForbidden, "the site does not put this request to its users", "login", s.address(), "--loopback")
		} else {
			d.start("login", s.address(), "--loopback", "--timeout", "4s").ends(cli.ExitUnapproved, "nobody approved within 4s")
		}

		if own, ok := s.(*ownSite); ok { // which tells a program on this machine of a no
			p := d.start("login", s.address(), "--loopback")
			if err := own.refuse(p.until(shownAddress)[1]); err != nil {
				t.Fatal(err)
			}
			p.ends(cli.ExitUnapproved, "the person refused; nothing was granted")
		}

		p := d.start("login", s.address(), "--paste")
		p.until(shownAddress)
		_ = p.in.Close() // what is not written the program misses
		p.ends(1, "this is no payload: it is empty")

		p = d.start("login", s.address(), "--paste")
		p.until(shownAddress)
		_, _ = io.WriteString(p.in, clitest.Key+"\n") // what is not written the program misses
		p.ends(1, "it looks like a key")

		d.refuses(cli.ExitForbidden, "", "login", s.address(), "--paste", "--scopes", "read,no_such_scope")
		if n := s.alive(); n != 0 {
			t.Errorf("%d keys were left", n)
		}
		d.refuses(1, "there is no stored key", "call", "GET", "/x")
	})
}

// TestCallsThatFail says of each refusal what it means, also where the site does not.
func TestCallsThatFail(t *testing.T) {
	t.Parallel()
	everySite(t, func(t *testing.T, s anySite) {
		d := newMachine(t)
		d.login(s, client.FlowPaste, "--scopes", "session_info,notifications")
		d.refuses(cli.ExitForbidden, "missing scope: write; ask for it: userkeys login "+s.address()+" --scopes session_info,notifications,write", "call", "POST", "/posts.json", "-d", "raw=x")
		d.refuses(cli.ExitForbidden, "missing scope: read", "call", "GET", "/u/alice.json")
		s.set("max_user_api_reqs_per_minute", "1")
		s.pass(time.Hour)
		d.run(0, "call", "GET", "/session/current.json")
		d.refuses(cli.ExitLimited, "429: ", "call", "GET", "/session/current.json")
		d.refuses(cli.ExitLimited, "try again in ", "call", "GET", "/session/current.json")
		s.set("max_user_api_reqs_per_minute", "100")
		s.set("max_user_api_reqs_per_day", "1")
		d.refuses(cli.ExitLimited, "the day's calls are used up; again at ", "call", "GET", "/session/current.json", "--wait", "1m")
		s.set("max_user_api_reqs_per_day", "1000")
		d.refuses(cli.ExitUnreachable, "", "call", "GET", "/session/current.json", "--timeout", "1ns")
		s.revokeAll()
		d.refuses(cli.ExitForbidden, "the key was revoked or has expired; get a new one: userkeys login "+s.address(), "call", "GET", "/session/current.json")
		d.run(0, "logout", s.address())
	})
}

// TestWatchPostDoctor are the commands above the key.
func TestWatchPostDoctor(t *testing.T) {
	t.Parallel()
	everySite(t, func(t *testing.T, s anySite) {
		d := newMachine(t)
		d.login(s, client.FlowPaste, "--scopes", "read,write,notifications,session_info")
		s.notify("one")
		s.notify("two")
		var states []struct {
			Unread int
			Health string
		}
		if err := json.Unmarshal([]byte(d.run(0, "watch", "--once", "--json")), &states); err != nil || len(states) != 1 || states[0].Unread != 2 || states[0].Health != "well" {
			t.Errorf("watch prints %+v, %v", states, err)
		}
		protocol, policy, limits, end := "Discourse before 2026", "-  policy", "usually 20 requests", "nothing is wrong (requests sent: "
		left := "at most 19 and 2879 are left to the stored key now"
		loopback := "-  loopback    a Discourse of this age looks at it only when the person approves"
		switch {
		case s.has(client.FlowLoopback):
			protocol, policy, limits = "userkeys", "ok policy", "20 requests of a key a minute and 2880 a day"
			loopback, left = "ok loopback", "at most 18 and 2878 are left to the stored key now" // what apps ask first is tried
		case s.has(client.FlowDevice):
			protocol, end = "Discourse of 2026 or later", "nothing is wrong, warnings: 1 (requests sent: "
			loopback = "!  loopback    the site does not send answers to programs on the person's machine"
		}
		out := d.run(0, "doctor", "alice@"+s.address()[len("http://"):], "--for", "POST /posts.json")
		for _, text := range []string{
			"ok address     " + s.address() + "\n", "ok protocol    " + protocol + ", version 4", policy, "ok scope       read: allowed", loopback,
			"ok key         the stored key works; it may read,write,notifications,session_info", "ok end ",
			"ok call        POST /posts.json: the scopes of the key", "-  trust       alice has trust level 1 there", "trust_level_1 to user_api_key_allowed_groups",
			"ok limits      " + limits, left, "\n" + end,
		} {
			if !strings.Contains(out, text) {
				t.Errorf("doctor does not say %q:\n%s", text, out)
			}
		}
		d.run(0, "post", "add", s.address(), "--title", "A title that is long enough", "-d", "A text that is long enough to be posted anywhere.")
		d.run(0, "post", "run", "--once")
		d.run(0, "post", "run", "--once")
		if n := s.posted(); n != 1 {
			t.Errorf("%d posts were sent", n)
		}
		s.revokeAll()
		if out := d.run(1, "doctor", s.address()); !strings.Contains(out, "\nx  key         the site refuses the stored key") || !strings.Contains(out, "-> get a new one: userkeys login "+s.address()+" --scopes read,write,notifications,session_info") {
			t.Errorf("of a revoked key doctor says:\n%s", out)
		}
		d.run(0, "logout", s.address())
	})
}

// TestRenewing renews where the site does that, and says so where it does not.
func TestRenewing(t *testing.T) {
	t.Parallel()
	everySite(t, func(t *testing.T, s anySite) {
		d := newMachine(t)
		d.login(s, client.FlowPaste, "--expires", "720h", "--scopes", "session_info")
		old := strings.TrimSpace(d.run(0, "key", s.address()))
		if _, own := s.(*ownSite); !own {
			want := "does not renew keys"
			if dis := s.(*discourseSite); dis.Era != discourse.New {
				want = "no end of its own"
			}
			p := d.start("renew", s.address())
			code := <-p.done
			if _, errs := p.printed(); code == 0 || !strings.Contains(errs, want) {
				t.Errorf("renew says %q", errs)
			}
			return
		}
		d.run(0, "renew", s.address())
		fresh := strings.TrimSpace(d.run(0, "key", s.address(), "--json"))
		if strings.Contains(fresh, old) {
			t.Error("the key is the old one")
		}
		d.run(0, "call", "GET", "/session/current.json")
		d.run(0, "logout", s.address())
	})
}

// TestTheAnswerOfADeviceIsLost: DV7, the poll that carries the key is cut.
func TestTheAnswerOfADeviceIsLost(t *testing.T) {
	t.Parallel()
	forum := discourse.Start(t, discourse.New)
	forum.AddUser(discourse.User{Name: "alice"})
	s := &discourseSite{forum, forum.Browser("alice")}
	d := newMachine(t)
	p := d.start("login", s.address(), "--device")
	m := p.until(shownCode)
	if err := s.activate(m[1], m[2]); err != nil {
		t.Fatal(err)
	}
	forum.Fail(discourse.Fault{Path: "/user-api-key/device/poll.json", Times: 1, Cut: discourse.CutAfter})
	p.ends(cli.ExitUnapproved, "the site's answer was lost on the way; begin again")
	if n := s.alive(); n != 1 {
		t.Errorf("%d keys work; the lost one should", n)
	}
	d.login(s, client.FlowDevice)
	if n := s.alive(); n != 1 {
		t.Errorf("%d keys work; the new one should have replaced the lost one", n)
	}
	d.run(0, "call", "GET", "/session/current.json")
}

// TestSitesThatMisbehave: what a site sends is bounded and explained.
func TestSitesThatMisbehave(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(userkeys.KeyHeader) != "" {
			t.Error("another host was sent the key")
		}
	}))
	t.Cleanup(elsewhere.Close)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	forum := discourse.Start(t, discourse.New)
	forum.AddUser(discourse.User{Name: "alice"})
	s := &discourseSite{forum, forum.Browser("alice")}
	d := newMachine(t)
	d.login(s, client.FlowPaste, "--scopes", "read")
	fail := func(path string, f discourse.Fault) {
		f.Path, f.Times = path, 1
		forum.Fail(f)
	}
	d.refuses(cli.ExitUnreachable, "certificate", "login", secure.URL, "--paste")
	fail("/user-api-key/new", discourse.Fault{RedirectTo: elsewhere.URL + "/user-api-key/new"})
	d.refuses(1, "gives no user API keys", "login", s.address(), "--paste")
	fail("/user-api-key/device.json", discourse.Fault{HugeBody: 64 << 20})
	d.refuses(1, "larger than", "login", s.address(), "--device")
	fail("/user-api-key/device.json", discourse.Fault{Body: "{"})
	d.refuses(1, "not the JSON that was expected", "login", s.address(), "--device")
	fail("/user-api-key/device.json", discourse.Fault{Status: 500, Body: "\x1b[2J"})
	d.refuses(cli.ExitServer, "500", "login", s.address(), "--device")
	fail("/notifications/totals.json", discourse.Fault{HugeBody: 64 << 20})
	d.refuses(cli.ExitUnreachable, "no answer that could be read", "watch", "--once")
	fail("/latest.json", discourse.Fault{Cut: discourse.CutMiddle})
	d.refuses(cli.ExitUnreachable, "", "call", "GET", "/latest.json")
	fail("/latest.json", discourse.Fault{RedirectTo: elsewhere.URL})
	d.refuses(1, "the site points to", "call", "GET", "/latest.json")
	fail("/latest.json", discourse.Fault{Delay: time.Minute})
	d.refuses(cli.ExitUnreachable, "no answer", "call", "GET", "/latest.json", "--timeout", "500ms")
	d.hides(strings.TrimSpace(d.run(0, "key", s.address())))
}

// TestKeyFromTheEnvironment is a machine without a key store.
func TestKeyFromTheEnvironment(t *testing.T) {
	t.Parallel()
	s := newOwnSite(t)
	app := s.App("ci", "session_info").Connect(s.alice)
	d := newMachine(t, cli.KeyEnv+"="+app.Key.Reveal(), appkeys.SiteEnv+"="+s.URL)
	if out := d.run(0, "call", "GET", "/session/current.json"); !strings.Contains(out, "alice") {
		t.Errorf("call prints %s", out)
	}
	d.refuses(1, "no key for", "call", "GET", "https://other.example/x")
	d.hides(app.Key.Reveal())
	payload := newMachine(t, cli.KeyEnv+"="+url.QueryEscape(strings.Repeat("QUJD", 90)+"=="), appkeys.SiteEnv+"="+s.URL)
	payload.refuses(cli.ExitUsage, "this is a payload", "call", "GET", "/session/current.json")
	nowhere := newMachine(t, cli.KeyEnv+"="+app.Key.Reveal())
	nowhere.refuses(cli.ExitUsage, "say which site", "call", "GET", "/session/current.json")
}

// TestKeysUnderAPassphrase needs it, and takes no other.
func TestKeysUnderAPassphrase(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("where there is a keychain no passphrase is asked for")
	}
	s := newOwnSite(t)
	d := newMachine(t, cli.PassphraseEnv+"=correct horse battery", appkeys.KeystoreEnv+"=")
	d.login(s, client.FlowPaste, "--scopes", "session_info", "--expires", "24h")
	d.env = append(d.env, cli.PassphraseEnv+"=wrong")
	d.refuses(1, "not the passphrase", "call", "GET", "/session/current.json")
	d.env = d.env[:len(d.env)-1]
	d.run(0, "call", "GET", "/session/current.json")
	d.hides(strings.TrimSpace(d.run(0, "key", s.URL)))
	none := newMachine(t, appkeys.KeystoreEnv+"=")
	none.refuses(1, "the keychain cannot keep a secret", "login", s.URL, "--paste", "--keystore", "keychain")
	none.refuses(cli.ExitUsage, "set USERKEYS_PASSPHRASE, or keep keys readable by choice", "login", s.URL, "--paste")
	if n := s.alive(); n != 1 {
		t.Errorf("%d keys work", n)
	}
}
