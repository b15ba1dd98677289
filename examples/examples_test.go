// Package examples_test runs the examples as they ship, against a real site.
package examples_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
)

var (
	buildDir string
	builds   sync.Map // func() (string, error) by name
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "userkeys-examples-")
	if err != nil {
		panic(err)
	}
	buildDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir) // a left-over in the temporary folder harms nobody
	os.Exit(code)
}

// built is the path of an example's program, built once.
func built(t *testing.T, name string) string {
	t.Helper()
	once, _ := builds.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		file := filepath.Join(buildDir, name)
		out, err := exec.Command("go", "build", "-o", file, "./"+name).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
		return file, err
	}))
	file, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// patience is how long a program may take on a busy machine.
const patience = 30 * time.Second

// program is a running example.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{}

	mu     sync.Mutex
	output bytes.Buffer
}

// start runs an example with an environment of its own.
func start(t *testing.T, name string, env []string, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{t: t, cmd: exec.CommandContext(ctx, built(t, name), args...), ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the code of the end is looked at in exit
		close(p.ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-p.ended
	})
	return p
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

func (p *program) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// says waits for the program to print what the pattern matches, and gives its last group.
func (p *program) says(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	eventually(p.t, func() error {
		if found = re.FindStringSubmatch(p.said()); found == nil {
			return fmt.Errorf("waited in vain for %q; it said:\n%s", pattern, p.said())
		}
		return nil
	})
	return found[len(found)-1]
}

// exit waits for the end and gives the exit code.
func (p *program) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("it does not end; it said:\n%s", p.said())
	}
	return p.cmd.ProcessState.ExitCode()
}

// must checks how the program ended and what it said.
func (p *program) must(code int, texts ...string) {
	p.t.Helper()
	if got := p.exit(); got != code {
		p.t.Errorf("it ended with %d, want %d; it said:\n%s", got, code, p.said())
	}
	for _, text := range texts {
		if !strings.Contains(p.said(), text) {
			p.t.Errorf("it does not say %q, but:\n%s", text, p.said())
		}
	}
}

// eventually waits until check is content.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// newSite is a site with alice, bob and no limits that tests would run into.
func newSite(t *testing.T, opts ...testkit.Option) *testkit.Site {
	t.Helper()
	s := testkit.NewSite(t, dbtest.SQLite(t), opts...)
	s.User("alice")
	s.User("bob")
	for name, value := range map[string]string{
		"max_user_api_reqs_per_minute": "10000", "max_user_api_reqs_per_day": "100000",
		"max_user_api_reqs_per_user_per_minute": "0", "max_user_api_reqs_per_user_per_day": "0", "max_reqs_per_ip_mode": "none",
	} {
		s.Set(name, value)
	}
	return s
}

// notify tells a user so many things.
func notify(t *testing.T, s *testkit.Site, username string, times int) {
	t.Helper()
	for range times {
		n := site.Notification{Type: 1, Data: []byte(`{"display_username":"bob","topic_title":"A <b>bold</b> & plain title"}`)}
		if _, err := s.Inbox.Add(t.Context(), site.Announcement{Usernames: []string{username}, Notification: n, Caller: testkit.Command}); err != nil {
			t.Fatal(err)
		}
	}
}

// approve has p approve at address, and gives where the browser is sent.
func approve(t *testing.T, p *testkit.Person, address string) string {
	t.Helper()
	to := p.Submit(p.Get(address).Must(t, 200), "/user-api-key").Header.Get("Location")
	if to == "" {
		t.Fatal("the site sends the browser nowhere")
	}
	return to
}

// typeCode has p type a device's code and press approve or deny.
func typeCode(t *testing.T, p *testkit.Person, code, action string) {
	t.Helper()
	page := p.Submit(p.Get("/user-api-key/activate").Must(t, 200), "/user-api-key/activate", "code", code)
	p.Follow(p.Submit(page.Must(t, 200), "/user-api-key/device/"+action)).Must(t, 200)
}

// hasKey tells whether a text has a key that the site knows, without knowing the key.
func hasKey(s *testkit.Site, text string) bool {
	known := map[userkeys.KeyHash]bool{}
	for _, k := range s.Keys() {
		known[k.Hash] = true
	}
	const size = 32
	for i := range max(len(text)-size+1, 0) {
		if known[userkeys.Key(text[i:i+size]).Hash()] {
			return true
		}
	}
	return false
}

// secret checks that none of the site's keys is in a text.
func secret(t *testing.T, s *testkit.Site, what, text string) {
	t.Helper()
	if len(s.Keys()) == 0 {
		t.Error("the site has no key that could be in " + what)
	}
	if hasKey(s, text) {
		t.Errorf("a key is in %s", what)
	}
}

// TestHasKey proves that the check above finds keys.
func TestHasKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	app := s.App("app", "read").Connect(s.Person("alice"))
	if key := app.Key.Reveal(); !hasKey(s, "key="+key+".") || hasKey(s, "key="+key[1:]+"0") {
		t.Error("the check does not tell a key from another text")
	}
}

// revokeAll revokes every key as its owner does on the site.
func revokeAll(t *testing.T, p *testkit.Person) {
	t.Helper()
	p.Submit(p.Get("/my/apps").Must(t, 200), "/user-api-key/revoke").Must(t, 303)
}

// forge seals an answer to the request at address that does not have its nonce.
func forge(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	public, err := userkeys.ParsePublicKey(u.Query().Get("public_key"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := userkeys.Payload{Key: userkeys.NewKey(""), Nonce: "somebody else's"}.Seal(public, userkeys.PaddingOAEP)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// lines counts the lines of a program: without blank ones and comments.
func lines(text string) int {
	n := 0
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") && !strings.HasPrefix(line, "<!--") {
			n++
		}
	}
	return n
}

// TestSmall holds each example to what can be read at one go and copied: at most 160 lines, and no code but the standard library and ours that apps are meant to use.
func TestSmall(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"notifier", "webapp", "browser", "ci"} {
		files, err := os.ReadDir(name)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(name, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			total += lines(string(text))
		}
		if total < 20 || total > 160 {
			t.Errorf("%s has %d lines", name, total)
		}
	}
	if text, err := os.ReadFile("README.md"); err != nil || strings.Count(string(text), "\n") >= 50 {
		t.Errorf("README.md: 50 lines or more, or %v", err)
	}
	if lines("import \"fmt\"\n\n// a comment\nvar x int\n") != 2 {
		t.Error("lines are counted wrongly")
	}
}

// run runs an example to its end.
func run(t *testing.T, name string, env []string, args ...string) *program {
	t.Helper()
	p := start(t, name, env, args...)
	p.exit()
	return p
}

// exists tells whether there is a file.
func exists(name string) bool {
	_, err := os.Stat(name)
	return !errors.Is(err, os.ErrNotExist)
}
