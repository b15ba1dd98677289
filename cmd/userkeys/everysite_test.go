package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
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

// desktop is a machine that never saw a site: the real program, with folders of its own.
type desktop struct {
	t   *testing.T
	dir string
	env []string

	mu   sync.Mutex
	seen bytes.Buffer // everything that programs printed here, but for `key`
	args []string     // of every program that ran, as others on the machine see them
}

func newDesktop(t *testing.T, env ...string) *desktop {
	d := &desktop{t: t, dir: t.TempDir()}
	d.env = append([]string{
		"HOME=" + d.dir, "TMPDIR=" + filepath.Join(d.dir, "tmp"), appkeys.ConfigDirEnv + "=" + filepath.Join(d.dir, "keys"),
		appkeys.KeystoreEnv + "=plain", "PATH=" + os.Getenv("PATH"), "BROWSER=true",
		testkit.NoKeychain,
	}, env...)
	if err := os.Mkdir(filepath.Join(d.dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

// process is a program that runs on a desktop.
type process struct {
	d    *desktop
	cmd  *exec.Cmd
	in   io.WriteCloser
	mu   sync.Mutex
	out  bytes.Buffer
	err  bytes.Buffer
	done chan int
}

type tee struct {
	p  *process
	to *bytes.Buffer
}

func (w tee) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.to.Write(b)
}

func (p *process) printed() (string, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String(), p.err.String()
}

func (d *desktop) start(args ...string) *process {
	d.t.Helper()
	if args[0] == "login" {
		args = append(args, "--bits", "2048") // quicker to make
	}
	p := &process{d: d, cmd: exec.Command(testkit.Binary(d.t), args...), done: make(chan int, 1)}
	p.cmd.Env = d.env
	p.cmd.Stdout, p.cmd.Stderr = tee{p, &p.out}, tee{p, &p.err}
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		d.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it may have ended
	go func() {
		_ = p.cmd.Wait() // how it ended is in its state
		out, errs := p.printed()
		d.mu.Lock()
		defer d.mu.Unlock()
		if args[0] != "key" {
			d.seen.WriteString(out + errs)
		}
		d.args = append(d.args, args...)
		p.done <- p.cmd.ProcessState.ExitCode()
	}()
	return p
}

// until waits for something printed, and gives what the expression finds in it.
func (p *process) until(expression string) []string {
	p.d.t.Helper()
	re := regexp.MustCompile(expression)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		out, _ := p.printed()
		if m := re.FindStringSubmatch(out); m != nil {
			return m
		}
		select {
		case code := <-p.done:
			out, errs := p.printed()
			if m := re.FindStringSubmatch(out); m != nil {
				p.done <- code
				return m
			}
			p.d.t.Fatalf("%v ended with %d:\n%s\n%s", p.cmd.Args[1:], code, out, errs)
		default:
		}
	}
	out, errs := p.printed()
	p.d.t.Fatalf("%v never printed %s:\n%s\n%s", p.cmd.Args[1:], expression, out, errs)
	return nil
}

// ends waits for the program to end with a code, and gives its output; what it says on standard
// error must have the texts.
func (p *process) ends(code int, says ...string) string {
	p.d.t.Helper()
	select {
	case got := <-p.done:
		out, errs := p.printed()
		if got != code {
			p.d.t.Fatalf("%v ended with %d, want %d:\n%s\n%s", p.cmd.Args[1:], got, code, out, errs)
		}
		for _, text := range says {
			if !strings.Contains(errs, text) {
				p.d.t.Errorf("%v says %q, want %q", p.cmd.Args[1:], errs, text)
			}
		}
		if n := strings.Count(errs, "userkeys: "); code != 0 && n != 1 {
			p.d.t.Errorf("%v ended with %d lines: %q", p.cmd.Args[1:], n, errs)
		}
		return out
	case <-time.After(2 * time.Minute):
		p.d.t.Fatalf("%v did not end", p.cmd.Args[1:])
		return ""
	}
}

func (d *desktop) run(code int, args ...string) string {
	d.t.Helper()
	return d.start(args...).ends(code)
}

// refuses runs a program that must end with a code and a line.
func (d *desktop) refuses(code int, says string, args ...string) {
	d.t.Helper()
	d.start(args...).ends(code, says)
}

// login logs in by a flow; empty: the one that the program takes.
func (d *desktop) login(s anySite, f client.Flow, more ...string) {
	d.t.Helper()
	args := append([]string{"login", s.address()}, more...)
	if f != "" {
		args = append(args, "--"+string(f))
	}
	p := d.start(args...)
	d.answer(s, p)
	p.ends(0)
}

const (
	shownAddress = `(?m)^(http\S+/user-api-key/new\?\S+)$`
	shownCode    = `(?m)^ +(http\S+/user-api-key/activate)\s+([A-Z0-9]{4}-[A-Z0-9]{4})$`
)

// answer does what the program asks of the person.
func (d *desktop) answer(s anySite, p *process) {
	d.t.Helper()
	m := p.until(shownAddress + "|" + shownCode)
	if m[3] != "" {
		if err := s.activate(m[2], m[3]); err != nil {
			d.t.Fatal(err)
		}
		return
	}
	sealed, err := s.approve(m[1])
	if err != nil {
		d.t.Fatal(err)
	}
	if sealed != "" {
		_, _ = io.WriteString(p.in, sealed+"\n") // the program says itself what it misses
	}
}

// TestThreeCommandsToTheFirstCall is the way from nothing to a call, in every flow of every site.
func TestThreeCommandsToTheFirstCall(t *testing.T) {
	t.Parallel()
	everySite(t, func(t *testing.T, s anySite) {
		for _, f := range []client.Flow{"", client.FlowLoopback, client.FlowDevice, client.FlowPaste} {
			if f != "" && !s.has(f) {
				continue
			}
			t.Run("flow "+string(f), func(t *testing.T) {
				d := newDesktop(t)
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

// hides looks for keys and private keys wherever they could have leaked to: what was printed, the
// arguments that others on the machine can see, files of any kind.
func (d *desktop) hides(keys ...string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, secret := range append(keys, "PRIVATE KEY") {
		if len(secret) < 10 {
			d.t.Fatalf("%q is no secret", secret)
		}
		if strings.Contains(d.seen.String(), secret) {
			d.t.Errorf("a secret was printed: %.4s...", secret)
		}
		if strings.Contains(strings.Join(d.args, " "), secret) {
			d.t.Errorf("a secret was an argument: %.4s...", secret)
		}
		err := filepath.WalkDir(d.dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || slices.Contains(d.env, appkeys.KeystoreEnv+"=plain") && name == filepath.Join(d.dir, "keys", "keys.json") {
				return err // the plain store is the one place where keys may stand
			}
			content, err := os.ReadFile(name)
			if bytes.Contains(content, []byte(secret)) {
				d.t.Errorf("%s holds a secret: %.4s...", name, secret)
			}
			return err
		})
		if err != nil {
			d.t.Error(err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(d.dir, "tmp")); err != nil || len(left) != 0 {
		d.t.Errorf("left in the temporary folder: %v, %v", left, err)
	}
}

// TestHidesFinds proves that the search above finds what is there.
func TestHidesFinds(t *testing.T) {
	t.Parallel()
	for _, plant := range []func(d *desktop){
		func(d *desktop) { d.seen.WriteString("the key " + clitest.Key) },
		func(d *desktop) { d.args = append(d.args, "-H", clitest.Key) },
		func(d *desktop) {
			_ = os.WriteFile(filepath.Join(d.dir, "history"), []byte(clitest.Key), 0o600) // the search says if it is not there
		},
		func(d *desktop) { _ = os.WriteFile(filepath.Join(d.dir, "tmp", "x"), nil, 0o600) },
	} {
		inner := &testing.T{}
		d := newDesktop(t)
		plant(d)
		d.t = inner
		d.hides(clitest.Key)
		if !inner.Failed() {
			t.Error("a planted secret was not found")
		}
	}
}

// TestLoginsThatFail ends each in one line, and leaves no key that nobody has.
func TestLoginsThatFail(t *testing.T) {
	t.Parallel()
	everySite(t, func(t *testing.T, s anySite) {
		d := newDesktop(t)
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
		d := newDesktop(t)
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
		d := newDesktop(t)
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
		d := newDesktop(t)
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
	d := newDesktop(t)
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
	d := newDesktop(t)
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
	d := newDesktop(t, cli.KeyEnv+"="+app.Key.Reveal(), appkeys.SiteEnv+"="+s.URL)
	if out := d.run(0, "call", "GET", "/session/current.json"); !strings.Contains(out, "alice") {
		t.Errorf("call prints %s", out)
	}
	d.refuses(1, "no key for", "call", "GET", "https://other.example/x")
	d.hides(app.Key.Reveal())
	payload := newDesktop(t, cli.KeyEnv+"="+url.QueryEscape(strings.Repeat("QUJD", 90)+"=="), appkeys.SiteEnv+"="+s.URL)
	payload.refuses(cli.ExitUsage, "this is a payload", "call", "GET", "/session/current.json")
	nowhere := newDesktop(t, cli.KeyEnv+"="+app.Key.Reveal())
	nowhere.refuses(cli.ExitUsage, "say which site", "call", "GET", "/session/current.json")
}

// TestKeysUnderAPassphrase needs it, and takes no other.
func TestKeysUnderAPassphrase(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("where there is a keychain no passphrase is asked for")
	}
	s := newOwnSite(t)
	d := newDesktop(t, cli.PassphraseEnv+"=correct horse battery", appkeys.KeystoreEnv+"=")
	d.login(s, client.FlowPaste, "--scopes", "session_info", "--expires", "24h")
	d.env = append(d.env, cli.PassphraseEnv+"=wrong")
	d.refuses(1, "not the passphrase", "call", "GET", "/session/current.json")
	d.env = d.env[:len(d.env)-1]
	d.run(0, "call", "GET", "/session/current.json")
	d.hides(strings.TrimSpace(d.run(0, "key", s.URL)))
	none := newDesktop(t, appkeys.KeystoreEnv+"=")
	none.refuses(1, "the keychain cannot keep a secret", "login", s.URL, "--paste", "--keystore", "keychain")
	none.refuses(cli.ExitUsage, "set USERKEYS_PASSPHRASE, or keep keys readable by choice", "login", s.URL, "--paste")
	if n := s.alive(); n != 1 {
		t.Errorf("%d keys work", n)
	}
}
