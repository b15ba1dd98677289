package posts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/keystore"
	"userkeys/internal/testkit/nettest"
)

// A forum is a site that counts what reaches it.
type forum struct {
	*httptest.Server

	mu     sync.Mutex
	got    map[string]int // by the text of the post
	order  []string
	busy   int
	most   int // requests at a time
	answer http.HandlerFunc
}

func newForum(t *testing.T, answer http.HandlerFunc) *forum {
	f := &forum{got: map[string]int{}, answer: answer}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *forum) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var post struct{ Raw string }
	body, err := io.ReadAll(r.Body)
	if r.Method == http.MethodPost && err == nil && json.Unmarshal(body, &post) == nil {
		f.mu.Lock()
		f.got[post.Raw]++
		f.order = append(f.order, post.Raw)
		f.busy++
		f.most = max(f.most, f.busy)
		f.mu.Unlock()
		defer func() {
			f.mu.Lock()
			f.busy--
			f.mu.Unlock()
		}()
	}
	f.mu.Lock()
	answer := f.answer
	f.mu.Unlock()
	answer(w, r)
}

// say has the site answer so from now on.
func (f *forum) say(answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *forum) reached() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.order)
}

func says200(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func saysStatus(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cut ends the connection without a word.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

const created = `{"id":9,"topic_id":12,"topic_slug":"choir","post_number":3}`

const testKey = "0123456789abcdef0123456789abcdef"

func credential(site, name string) *client.Credential {
	return &client.Credential{Site: site, Username: name, Key: testKey, ClientID: "c1", Scopes: userkeys.Scopes{"read"}, API: 4, Padding: userkeys.PaddingOAEP}
}

// queueAt is a queue of alice's, with a key to the site.
func queueAt(t *testing.T, site string) *Queue {
	t.Helper()
	keys := keystore.Open(keystore.Config{Dir: t.TempDir(), Keeping: keystore.Plain})
	c := credential(site, "alice")
	c.Scopes = userkeys.Scopes{"read", "write"}
	if _, err := keys.Add(c); err != nil {
		t.Fatal(err)
	}
	return Open(Config{Keys: keys, Location: time.UTC})
}

func (q *Queue) draft(t *testing.T, raw string) Draft {
	t.Helper()
	all, err := q.cfg.Keys.Accounts()
	if err != nil {
		t.Fatal(err)
	}
	return Draft{Account: all[0], Title: "A title of some length", Category: 4, Raw: raw}
}

func (q *Queue) mustAdd(t *testing.T, d Draft) Post {
	t.Helper()
	p, err := q.Add(d)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// once is RunOnce with what it reported.
func (q *Queue) once(t *testing.T) []Report {
	t.Helper()
	var all []Report
	if err := q.RunOnce(t.Context(), func(r Report) { all = append(all, r) }); err != nil {
		t.Fatal(err)
	}
	return all
}

func (q *Queue) the(t *testing.T, id string) Post {
	t.Helper()
	f, err := q.load()
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.find(id)
	if err != nil {
		t.Fatal(err)
	}
	return *p
}

func TestPublishOutcomes(t *testing.T) {
	t.Parallel()
	// oldSite answers a 403 as Discourse does, without saying why, and tells by the session whether the key lives.
	oldSite := func(session int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			status := http.StatusForbidden
			if r.Method == http.MethodGet {
				status = session
			}
			saysStatus(status, `{"errors":["You are not permitted to view the requested resource."],"error_type":"invalid_access"}`)(w, r)
		}
	}
	slow := make(chan struct{})
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   State
		says   string // in the error, or the address of a sent one
	}{
		{"taken", says200(created), Sent, "/t/choir/12/3"},
		{"taken, a slug that climbs", says200(`{"topic_id":12,"topic_slug":"../../x?","post_number":3}`), Sent, "/t/..%2F..%2Fx%3F/12/3"},
		{"taken, no slug", says200(`{"topic_id":12,"post_number":3}`), Sent, "/t/12/3"},
		{"for approval", says200(`{"action":"enqueued","success":true}`), Sent, ""},
		{"refused", saysStatus(422, `{"action":"create_post","errors":["Title is too short"]}`), Failed, "422 Unprocessable Entity: Title is too short"},
		{"no such route", saysStatus(404, "no"), Failed, "404"},
		{"dead key", saysStatus(403, `{"errors":["x"],"reason":"invalid key"}`), Failed, "revoked or has expired: userkeys login http"},
		{"no write", saysStatus(403, `{"errors":["x"],"reason":"missing scope: write"}`), Failed, "lacks write: userkeys login http"},
		{"403 of Discourse, dead key", oldSite(403), Failed, "revoked or has expired"},
		{"403 of Discourse, live key", oldSite(200), Failed, "may not post there"},
		{"too many", saysStatus(429, `{"errors":["slow"],"error_type":"rate_limit"}`, "Retry-After", "90"), Waiting, "429"},
		{"time-out of a proxy", saysStatus(408, ""), Unknown, "408"},
		{"broken", saysStatus(500, `{"errors":["oops"]}`), Unknown, "oops"},
		{"bad gateway", saysStatus(502, "<html>"), Unknown, "502"},
		{"sent elsewhere", saysStatus(307, "", "Location", "/posts.json"), Unknown, "points elsewhere"},
		{"sent elsewhere to read", saysStatus(302, "", "Location", "/t/choir/12"), Unknown, "points elsewhere"},
		{"no JSON", says200("<html>thanks</html>"), Unknown, "not the JSON"},
		{"no post", says200(`{"ok":true}`), Unknown, "names no post"},
		{"an empty answer", saysStatus(204, ""), Unknown, "not the JSON"},
		{"a huge answer", says200(`{"x":"` + strings.Repeat("x", 17<<20) + `"}`), Unknown, "larger than"},
		{"half an answer", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = io.WriteString(w, created)
			cut(w, r)
		}, Unknown, "EOF"},
		{"cut", cut, Unknown, "EOF"},
		{"no answer in time", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-slow:
			case <-r.Context().Done():
			}
		}, Unknown, "no answer in time"},
		{"the key comes back", func(w http.ResponseWriter, r *http.Request) {
			saysStatus(400, `{"errors":["bad header `+r.Header.Get("User-Api-Key")+`"]}`)(w, r)
		}, Failed, "bad header [key]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			site := newForum(t, tt.answer)
			q := queueAt(t, site.URL)
			if tt.name == "no answer in time" {
				q.cfg.Base.Timeout = 300 * time.Millisecond
			}
			p := q.mustAdd(t, q.draft(t, "hello"))
			reports := q.once(t)
			got := q.the(t, p.ID)
			if got.State != tt.want || !strings.Contains(got.LastError+got.Address, tt.says) || got.Tries != 1 {
				t.Errorf("state %s, error %q, address %q, tries %d; want %s, %q", got.State, got.LastError, got.Address, got.Tries, tt.want, tt.says)
			}
			if len(reports) != 1 || reports[0].Result != tt.want || cmp.Diff(reports[0].Post, got) != "" {
				t.Errorf("reported %+v", reports)
			}
			if tt.want == Sent && got.SentAt.IsZero() {
				t.Error("no time of sending")
			}
			q.once(t)
			if n := len(site.reached()); n != 1 {
				t.Errorf("after another run the site had the post %d times", n)
			}
			if content, err := os.ReadFile(q.Path()); err != nil || strings.Contains(string(content), testKey) {
				t.Errorf("the queue holds the key, or %v", err)
			}
		})
	}
}

// What never left may be sent again.
func TestPublishNothingLeft(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS() // with a certificate that nobody trusts
	t.Cleanup(secure.Close)
	for name, site := range map[string]string{"nothing listens": "http://" + nettest.ReserveAddress(t), "no trust": secure.URL, "no such host": "http://host.invalid"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := queueAt(t, site)
			p := q.mustAdd(t, q.draft(t, "hello"))
			q.mustAdd(t, q.draft(t, "and another"))
			if got := q.once(t); len(got) != 1 || got[0].Result != Waiting || !strings.Contains(got[0].Post.LastError, "nothing was sent") {
				t.Errorf("reported %+v; want one try for the site", got)
			}
			if got := q.once(t); len(got) != 1 || q.the(t, p.ID).State != Waiting || q.the(t, p.ID).Tries != 2 {
				t.Errorf("the next run: %+v", got)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A transport that does not tell what it did proves nothing.
func TestPublishThroughASilentTransport(t *testing.T) {
	t.Parallel()
	q := queueAt(t, "https://a.example")
	q.cfg.Base = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") })}
	p := q.mustAdd(t, q.draft(t, "hello"))
	q.once(t)
	if got := q.the(t, p.ID); got.State != Unknown {
		t.Errorf("state %s: %s", got.State, got.LastError)
	}
}

// HTTP/2 repeats by itself what a site handed back, and a kept connection may be dead already.
func TestPublishUsesAConnectionOfItsOwn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	from := map[string]bool{}
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		from[r.RemoteAddr+" "+r.Proto] = true
		_, _ = io.WriteString(w, created)
	}))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	q := queueAt(t, secure.URL)
	own := q.cfg.Base.Transport.(*http.Transport)
	own.TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	own.TLSClientConfig.NextProtos = nil
	q.mustAdd(t, q.draft(t, "one"))
	q.mustAdd(t, q.draft(t, "two"))
	q.once(t)
	if len(from) != 2 {
		t.Errorf("connections %v, want two", from)
	}
	for f := range from {
		if !strings.HasSuffix(f, "HTTP/1.1") {
			t.Errorf("connection %s", f)
		}
	}
}

func TestPublishWhatItSends(t *testing.T) {
	t.Parallel()
	var bodies []string
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL, r.Header.Get("Content-Type"), r.Header.Get("User-Api-Key"), b))
		_, _ = io.WriteString(w, created)
	}))
	t.Cleanup(site.Close)
	q := queueAt(t, site.URL+"/forum")
	q.mustAdd(t, q.draft(t, "a \"topic\"\n<b>"))
	reply := q.draft(t, "a reply")
	reply.Title, reply.Category, reply.TopicID = "", 0, 12
	p := q.mustAdd(t, reply)
	q.once(t)
	head := "POST /forum/posts.json application/json " + testKey + " "
	want := []string{
		head + `{"title":"A title of some length","raw":"a \"topic\"\n\u003cb\u003e","category":4}`,
		head + `{"raw":"a reply","topic_id":12}`,
	}
	if diff := cmp.Diff(want, bodies); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if got := q.the(t, p.ID).Address; got != site.URL+"/forum/t/choir/12/3" {
		t.Errorf("address %q", got)
	}
	if all, err := q.cfg.Keys.Accounts(); err != nil || all[0].LastUsedAt.IsZero() {
		t.Errorf("the key's last use is not noted: %v", err)
	}
}

func TestPublishWithoutTheKey(t *testing.T) {
	t.Parallel()
	site := newForum(t, says200(created))
	q := queueAt(t, site.URL)
	p := q.mustAdd(t, q.draft(t, "in alice's name"))
	all, _ := q.cfg.Keys.Accounts()
	if err := q.cfg.Keys.Forget(all[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := q.cfg.Keys.Add(credential(site.URL, "bob")); err != nil {
		t.Fatal(err)
	}
	if got := q.once(t); len(got) != 1 || !got[0].NoKey || got[0].Result != Waiting || !strings.Contains(got[0].Post.LastError, "no key of alice on http") {
		t.Errorf("reported %+v", got)
	}
	if n := len(site.reached()); n != 0 {
		t.Error("bob posted what alice wrote")
	}
	if _, err := q.cfg.Keys.Add(credential(site.URL, "alice")); err != nil {
		t.Fatal(err)
	}
	q.once(t)
	if got := q.the(t, p.ID); got.State != Sent || got.LastError != "" || got.Tries != 1 {
		t.Errorf("with the key again: %+v", got)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	site := newForum(t, cut)
	q := queueAt(t, site.URL)
	lost, other := q.mustAdd(t, q.draft(t, "lost")), q.mustAdd(t, q.draft(t, "other"))
	repeated := q.draft(t, "repeated")
	repeated.Every = Daily
	rep := q.mustAdd(t, repeated)
	if got := q.once(t); len(got) != 3 {
		t.Fatalf("an unknown post holds others up: %+v", got)
	}
	site.say(says200(created))
	if p, err := q.Resolve(strings.ToUpper(lost.ID), ItWasSent); err != nil || p.State != Sent || p.LastError != "" {
		t.Errorf("--sent: %+v, %v", p, err)
	}
	if p, err := q.Resolve(rep.ID, ItWasSent); err != nil || p.State != Waiting || !p.At.Equal(rep.At.AddDate(0, 0, 1)) {
		t.Errorf("--sent of a repeated one: %+v, %v", p, err)
	}
	if p, err := q.Resolve(other.ID, SendAgain); err != nil || p.State != Waiting {
		t.Errorf("--again: %+v, %v", p, err)
	}
	q.once(t)
	if diff := cmp.Diff(map[string]int{"lost": 1, "other": 2, "repeated": 1}, site.got); diff != "" {
		t.Errorf("reached the site (-want +got):\n%s", diff)
	}
	for _, id := range []string{lost.ID, rep.ID} {
		if _, err := q.Resolve(id, SendAgain); !errors.Is(err, userkeys.Conflict) {
			t.Errorf("resolving what is not unknown: %v", err)
		}
	}
	if _, err := q.Resolve("zzzz1", SendAgain); !errors.Is(err, userkeys.NotFound) {
		t.Errorf("no such post: %v", err)
	}
	if _, err := q.Cancel(lost.ID); !errors.Is(err, userkeys.Conflict) {
		t.Errorf("cancelling what was sent: %v", err)
	}
	if _, err := q.Cancel(rep.ID); err != nil {
		t.Error(err)
	}
	if all, err := q.Posts(); err != nil || len(all) != 2 {
		t.Errorf("in the end %+v, %v", all, err)
	}
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	q := queueAt(t, "https://a.example")
	for name, change := range map[string]func(*Draft){
		"no text":        func(d *Draft) { d.Raw = " \n" },
		"no UTF-8":       func(d *Draft) { d.Raw = "a\xff" },
		"long text":      func(d *Draft) { d.Raw = strings.Repeat("a", maxRaw+1) },
		"no title":       func(d *Draft) { d.Title = " " },
		"title of lines": func(d *Draft) { d.Title = "a\nb" },
		"long title":     func(d *Draft) { d.Title = strings.Repeat("a", maxTitle+1) },
		"both":           func(d *Draft) { d.TopicID = 3 },
		"minus":          func(d *Draft) { d.Category = -1 },
	} {
		d := q.draft(t, "hello")
		change(&d)
		if _, err := q.Add(d); !errors.Is(err, userkeys.InvalidParameters) && !errors.Is(err, userkeys.MissingParameter) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(q.Path()); err == nil {
		t.Error("a refused post made a queue")
	}
}

// TestCrashBetweenSendingAndAnswer: the attack on the promise that needs no enemy. The program is killed while
// the site works on the post.
func TestCrashBetweenSendingAndAnswer(t *testing.T) {
	if dir := os.Getenv("POSTS_CRASH"); dir != "" {
		q := Open(Config{Keys: keystore.Open(keystore.Config{Dir: dir, Keeping: keystore.Plain})})
		t.Fatalf("not killed: %v", q.RunOnce(t.Context(), func(Report) {}))
	}
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	site := newForum(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = io.WriteString(w, created)
	})
	q := queueAt(t, site.URL)
	p := q.mustAdd(t, q.draft(t, "hello"))
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashBetweenSendingAndAnswer$")
	child.Env = append(os.Environ(), "POSTS_CRASH="+filepath.Dir(q.Path()))
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	<-arrived
	if got := q.the(t, p.ID); got.State != Sending {
		t.Errorf("while the site works on it: %s", got.State)
	}
	if _, err := q.Cancel(p.ID); !errors.Is(err, userkeys.Conflict) {
		t.Errorf("cancelled under way: %v", err)
	}
	if _, err := q.Resolve(p.ID, SendAgain); !errors.Is(err, userkeys.Conflict) {
		t.Errorf("resolved under way: %v", err)
	}
	if err := q.RunOnce(t.Context(), func(Report) {}); !errors.Is(err, userkeys.Conflict) {
		t.Errorf("a second runner: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	close(release)
	if got := q.once(t); len(got) != 1 || got[0].Result != Unknown || !strings.Contains(got[0].Post.LastError, "ended before") {
		t.Errorf("after the crash: %+v", got)
	}
	if got := q.once(t); len(got) != 0 || len(site.reached()) != 1 {
		t.Errorf("sent %d times; %+v", len(site.reached()), got)
	}
}

// A person need not start a runner to resolve what a crash left.
func TestResolveAfterACrash(t *testing.T) {
	t.Parallel()
	q := queueAt(t, "https://a.example")
	a, b := q.mustAdd(t, q.draft(t, "a")), q.mustAdd(t, q.draft(t, "b"))
	for _, p := range []Post{a, b} {
		if _, err := q.change(p.ID, func(p *Post) error { p.State = Sending; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := q.Resolve(a.ID, SendAgain); err != nil || p.State != Waiting {
		t.Errorf("resolve: %+v, %v", p, err)
	}
	if _, err := q.Cancel(b.ID); err != nil {
		t.Errorf("cancel: %v", err)
	}
}

// Two runners, and people who add: strictly one request at a time, each post once.
func TestTwoRunnersAtOnce(t *testing.T) {
	t.Parallel()
	site := newForum(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(5 * time.Millisecond)
		_, _ = io.WriteString(w, created)
	})
	q := queueAt(t, site.URL)
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for j := range 5 {
				q.mustAdd(t, q.draft(t, fmt.Sprint(i, "-", j)))
			}
		})
		wg.Go(func() {
			mine := Open(Config{Keys: keystore.Open(keystore.Config{Dir: filepath.Dir(q.Path())})})
			for range 4 {
				if err := mine.RunOnce(t.Context(), func(Report) {}); err != nil && !errors.Is(err, userkeys.Conflict) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	q.once(t)
	if len(site.got) != 15 || len(site.reached()) != 15 || site.most != 1 {
		t.Errorf("%d posts reached the site in %d requests, %d at a time", len(site.got), len(site.reached()), site.most)
	}
}

func TestQueueThatIsDamagedIsNotOverwritten(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"no JSON": "hello", "empty": "", "a later version": `{"version":2,"posts":[]}`, "no version": `{"posts":[]}`,
		"half":          `{"version":1,"posts":[{"id":"aaaa","state":"wai`,
		"unknown state": `{"version":1,"posts":[{"id":"aaaa","state":"resting"}]}`,
		"one id twice":  `{"version":1,"posts":[{"id":"aaaa","state":"waiting"},{"id":"aaaa","state":"sent"}]}`,
		"no id":         `{"version":1,"posts":[{"state":"waiting"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := queueAt(t, "https://a.example")
			q.cfg.Base = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				t.Error("something was sent")
				return nil, io.EOF
			})}
			if err := os.WriteFile(q.Path(), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, addErr := q.Add(q.draft(t, "hello"))
			_, cancelErr := q.Cancel("aaaa")
			_, resolveErr := q.Resolve("aaaa", SendAgain)
			_, listErr := q.Posts()
			for _, err := range []error{addErr, cancelErr, resolveErr, listErr, q.RunOnce(t.Context(), func(Report) {}), q.Run(t.Context(), func(Report) {})} {
				if err == nil || !strings.Contains(err.Error(), "move it away and add again") {
					t.Errorf("error %v", err)
				}
			}
			if got, err := os.ReadFile(q.Path()); err != nil || string(got) != content {
				t.Errorf("the file now holds %q, %v", got, err)
			}
		})
	}
}

// The file is damaged while the site answers: the person is told what the file cannot say.
func TestQueueThatIsDamagedUnderWay(t *testing.T) {
	t.Parallel()
	var q *Queue
	site := newForum(t, func(w http.ResponseWriter, _ *http.Request) {
		if err := os.WriteFile(q.Path(), []byte("?"), 0o600); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, created)
	})
	q = queueAt(t, site.URL)
	q.mustAdd(t, q.draft(t, "hello"))
	q.mustAdd(t, q.draft(t, "never"))
	var got []Report
	if err := q.RunOnce(t.Context(), func(r Report) { got = append(got, r) }); err == nil {
		t.Error("no error")
	}
	if len(got) != 1 || got[0].Result != Sent || got[0].Post.Address == "" || len(site.reached()) != 1 {
		t.Errorf("reported %+v", got)
	}
}

func TestQueueIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other permissions")
	}
	q := queueAt(t, "https://a.example")
	q.mustAdd(t, q.draft(t, "hello"))
	if info, err := os.Stat(q.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(q.Path(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Posts(); !errors.Is(err, userkeys.InvalidAccess) {
		t.Errorf("a file that others read is loaded: %v", err)
	}
}

func TestThousandPosts(t *testing.T) {
	t.Parallel()
	site := newForum(t, says200(created))
	q := queueAt(t, site.URL)
	start := toSeconds(time.Now()).Add(-time.Hour)
	f := queueFile{Version: postsVersion}
	for i := range 1000 {
		p := Post{ID: fmt.Sprintf("p%03d", i), Site: site.URL, Account: "alice", Title: "A title", Raw: fmt.Sprintf("text %03d", i), State: Sent, At: start, SentAt: start.Add(time.Duration(i))}
		if i < 10 { // the last first
			p.State, p.At = Waiting, start.Add(-time.Duration(i)*time.Minute)
		} else if i < 700 {
			p.State, p.At = Waiting, start.Add(24*time.Hour)
		}
		f.Posts = append(f.Posts, p)
	}
	if err := q.file.Write(f); err != nil {
		t.Fatal(err)
	}
	q.once(t)
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprintf("text %03d", 9-i))
	}
	if diff := cmp.Diff(want, site.reached()); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
	all, err := q.Posts()
	if err != nil || len(all) != 690+keptSent {
		t.Errorf("%d posts are kept, %v", len(all), err)
	}
	f.Posts = slices.DeleteFunc(f.Posts, func(p Post) bool { return p.State == Sent })
	for i := range maxQueued - len(f.Posts) - 1 {
		f.Posts = append(f.Posts, Post{ID: fmt.Sprint("q", i), State: Failed})
	}
	if err := q.file.Write(f); err != nil {
		t.Fatal(err)
	}
	q.mustAdd(t, q.draft(t, "the last that fits"))
	if _, err := q.Add(q.draft(t, "one too many")); !errors.Is(err, userkeys.Conflict) {
		t.Errorf("a full queue: %v", err)
	}
}

// clock is a clock that people set.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func TestClockJumps(t *testing.T) {
	t.Parallel()
	limited := saysStatus(429, "", "Retry-After", "600")
	site := newForum(t, limited)
	q := queueAt(t, site.URL)
	start := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	c := &clock{start}
	q.cfg.Now = c.Now
	d := q.draft(t, "hello")
	d.Every, d.At = Daily, start.Add(time.Hour)
	p := q.mustAdd(t, d)
	reach := func(at time.Time, want int) Post {
		t.Helper()
		c.now = at
		q.once(t)
		if n := len(site.reached()); n != want {
			t.Fatalf("at %v the site was reached %d times, want %d", at, n, want)
		}
		return q.the(t, p.ID)
	}
	reach(start, 0)
	reach(start.Add(-365*24*time.Hour), 0)
	got := reach(start.Add(time.Hour), 1)
	if want := start.Add(time.Hour + 10*time.Minute); !got.RetryAt.Equal(want) || !got.At.Equal(d.At) {
		t.Errorf("limited until %v, for %v", got.RetryAt, got.At)
	}
	reach(start.Add(time.Hour+599*time.Second), 1)
	reach(start, 1) // set back: its time has not come
	site.say(says200(created))
	got = reach(start.Add(time.Hour+600*time.Second), 2)
	if want := start.Add(25 * time.Hour); got.State != Waiting || !got.At.Equal(want) || !got.RetryAt.IsZero() {
		t.Errorf("next at %v, want %v", got.At, want)
	}
	// A year ahead: once, and what was missed is not made up for.
	got = reach(start.AddDate(1, 0, 0), 3)
	if want := start.AddDate(1, 0, 0).Add(time.Hour); !got.At.Equal(want) {
		t.Errorf("after a year next at %v, want %v", got.At, want)
	}
	reach(start.AddDate(0, 0, 1), 3) // set back again: never twice for one time

	// A wait that was written while the clock was a year ahead holds nobody for a year.
	site.say(limited)
	c.now = start.AddDate(2, 0, 0)
	q.once(t)
	site.say(says200(created))
	if _, err := q.change(p.ID, func(p *Post) error { p.At = start; return nil }); err != nil {
		t.Fatal(err)
	}
	reach(start.Add(time.Hour), 5)

	// Somebody says of a lost one that it was sent, with the clock set back: its time is done all the same.
	lost, err := q.change(p.ID, func(p *Post) error { p.State, p.At = Unknown, start.AddDate(0, 0, 9).Add(time.Hour); return nil })
	if err != nil {
		t.Fatal(err)
	}
	c.now = start
	if got, err := q.Resolve(p.ID, ItWasSent); err != nil || !got.At.After(lost.At) {
		t.Errorf("next at %v after %v, %v", got.At, lost.At, err)
	}
}

func TestEvery(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skipf("this machine has no time zones: %v", err)
	}
	at := func(s string) time.Time {
		got, err := time.ParseInLocation("2006-01-02 15:04", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	tests := []struct {
		name               string
		every              Every
		first, after, want string
	}{
		{"the next day", Daily, "2026-11-27 09:00", "2026-11-27 09:00", "2026-11-28 09:00"},
		{"a minute before", Daily, "2026-11-27 09:00", "2026-12-03 08:59", "2026-12-03 09:00"},
		{"on the dot", Daily, "2026-11-27 09:00", "2026-12-03 09:00", "2026-12-04 09:00"},
		{"over winter time", Daily, "2026-10-24 09:00", "2026-10-24 10:00", "2026-10-25 09:00"},
		{"an hour that is not", Daily, "2026-03-28 02:30", "2026-03-28 03:00", "2026-03-29 03:30"},
		{"and the day after", Daily, "2026-03-28 02:30", "2026-03-29 03:30", "2026-03-30 02:30"},
		{"after years", Weekly, "2026-11-27 09:00", "2036-01-01 00:00", "2036-01-04 09:00"},
		{"weekly", Weekly, "2026-11-27 09:00", "2026-11-27 09:05", "2026-12-04 09:00"},
		{"hours", "36h0m0s", "2026-11-27 09:00", "2026-11-27 09:00", "2026-11-28 21:00"},
		{"hours on the dot", "36h0m0s", "2026-11-27 09:00", "2026-11-28 21:00", "2026-11-30 09:00"},
		{"a broken file", "often", "2026-11-27 09:00", "2026-11-27 09:00", "2026-11-28 09:00"},
	}
	for _, tt := range tests {
		if got := tt.every.next(at(tt.first), at(tt.after), berlin); !got.Equal(at(tt.want)) {
			t.Errorf("%s: next is %v, want %s", tt.name, got.In(berlin), tt.want)
		}
	}
	for _, e := range []Every{Daily, "1m0s", "9000h0m0s"} { // a hand-written year 1
		if after := at("2026-11-27 09:00"); !e.next(time.Time{}, after, berlin).After(after) {
			t.Errorf("%s from the year 1 is not later", e)
		}
	}
	for text, want := range map[string]Every{"": "", "daily": Daily, "weekly": Weekly, "90m": "1h30m0s", "60s": "1m0s"} {
		if got, err := ParseEvery(text); err != nil || got != want {
			t.Errorf("ParseEvery(%q) = %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"59s", "-1h", "0", "monthly", "1000000h", "1d"} {
		if _, err := ParseEvery(text); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("ParseEvery(%q): %v", text, err)
		}
	}
}

// A runner that stays publishes at the right times, also what is added meanwhile, and leaves alone whom it cannot reach.
func TestRunStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		keys := keystore.Open(keystore.Config{Dir: dir, Keeping: keystore.Plain})
		c := credential("https://a.example", "alice")
		if _, err := keys.Add(c); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var sent []string
		q := Open(Config{Keys: keys, Location: time.UTC, Base: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			var p struct{ Raw string }
			if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
				t.Error(err)
			}
			sent = append(sent, fmt.Sprintf("%s after %v", p.Raw, time.Since(start).Round(time.Second)))
			w := httptest.NewRecorder()
			if p.Raw == "limited" && len(sent) == 1 {
				saysStatus(429, "", "Retry-After", "120")(w, nil)
			} else {
				time.Sleep(2 * time.Second)
				says200(created)(w, nil)
			}
			return w.Result(), nil
		})}})
		add := func(raw string, after time.Duration, every Every) {
			d := q.draft(t, raw)
			d.At, d.Every = time.Now().Add(after), every
			q.mustAdd(t, d)
		}
		add("limited", 0, "")
		add("held up with it", 10*time.Second, "")
		add("later", 10*time.Minute, "")
		add("repeated", 20*time.Minute, "1h0m0s")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- q.Run(ctx, func(Report) {}) }()
		time.Sleep(5 * time.Minute)
		add("added meanwhile", 0, "")
		time.Sleep(2 * time.Hour)
		if err := Open(q.cfg).RunOnce(t.Context(), func(Report) {}); !errors.Is(err, userkeys.Conflict) {
			t.Errorf("a second runner: %v", err)
		}
		add("under way at the end", 0, "")
		time.Sleep(6 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
		want := []string{
			"limited after 0s", "limited after 2m0s", "held up with it after 2m2s", "added meanwhile after 5m4s", "later after 10m0s",
			"repeated after 20m0s", "repeated after 1h20m0s", "under way at the end after 2h5m2s",
		}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		all, err := q.Posts()
		if err != nil || !slices.ContainsFunc(all, func(p Post) bool { return p.Raw == "under way at the end" && p.State == Sent }) {
			t.Errorf("what was under way at the end has no answer: %v", err)
		}
	})
}

// An account that cannot be reached is tried less and less often.
func TestRunRests(t *testing.T) {
	t.Parallel()
	r := &runner{q: Open(Config{Keys: keystore.Open(keystore.Config{Dir: t.TempDir()})}), rests: map[string]rest{}}
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	r.q.cfg.Now = func() time.Time { return now }
	var got []time.Duration
	for range 20 {
		r.rest(Post{})
		got = append(got, r.rests[Post{}.Owner()].until.Sub(now))
	}
	if got[0] != 30*time.Second || got[1] != time.Minute || got[5] != 16*time.Minute || got[19] != 30*time.Minute {
		t.Errorf("rests %v", got)
	}
}
