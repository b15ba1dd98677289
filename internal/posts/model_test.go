package posts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"userkeys"
	"userkeys/internal/keystore"
)

// A mishap is what goes wrong with one request.
type mishap string

// The mishaps. Of some the site has the post.
const (
	noFault        mishap = "none"
	dialFails      mishap = "nobody listens"
	limits         mishap = "429"
	refuses        mishap = "422"
	cutsBefore     mishap = "cut before the site made the post"
	cutsAfter      mishap = "cut after the site made the post"
	breaksBefore   mishap = "500 before"
	breaksAfter    mishap = "500 after"
	garbles        mishap = "an answer that cannot be read"
	redirects      mishap = "307"
	crashesBefore  mishap = "the program dies before it sends"
	crashesAfter   mishap = "the program dies before it writes down the answer"
	answersTooLate mishap = "the answer comes too late"
)

var mishaps = []mishap{
	noFault, dialFails, limits, refuses, cutsBefore, cutsAfter, breaksBefore, breaksAfter, garbles, redirects, crashesBefore, crashesAfter, answersTooLate,
}

// A weather is a site, the way to it and the program, each with faults.
type weather struct {
	site    *httptest.Server
	next    func() mishap
	mu      sync.Mutex // the site's end may still be at work when the program's gave up
	now     mishap
	reached []string // texts that got as far as the site's handler behind its limits
	made    []string // texts that the site made posts of
	inner   http.RoundTripper
}

var errDied = errors.New("the program died")

func newWeather() *weather {
	w := &weather{}
	w.site = httptest.NewServer(w)
	own := onceClient().Transport.(*http.Transport)
	dial := own.DialContext
	own.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if w.weather() == dialFails {
			return nil, errors.New("connection refused")
		}
		return dial(ctx, network, addr)
	}
	w.inner = own
	return w
}

// RoundTrip is the program's end: it may die here.
func (w *weather) RoundTrip(r *http.Request) (*http.Response, error) {
	now := w.next()
	w.mu.Lock()
	w.now = now
	w.mu.Unlock()
	if now == crashesBefore {
		panic(errDied)
	}
	resp, err := w.inner.RoundTrip(r)
	switch {
	case now == crashesAfter:
		_ = resp.Body.Close()
		panic(errDied)
	case now == answersTooLate:
		_ = resp.Body.Close()
		return nil, os.ErrDeadlineExceeded
	}
	return resp, err
}

func (w *weather) weather() mishap {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// ServeHTTP is the site's end.
func (w *weather) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now == limits {
		saysStatus(429, "", "Retry-After", "60")(rw, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.reached = append(w.reached, string(body))
	switch w.now {
	case refuses:
		saysStatus(422, `{"errors":["no"]}`)(rw, r)
		return
	case cutsBefore:
		panic(http.ErrAbortHandler)
	case breaksBefore:
		saysStatus(500, "")(rw, r)
		return
	case redirects:
		saysStatus(307, "", "Location", r.URL.Path)(rw, r)
		return
	}
	w.made = append(w.made, string(body))
	switch w.now {
	case cutsAfter:
		panic(http.ErrAbortHandler)
	case breaksAfter:
		saysStatus(500, "")(rw, r)
	case garbles:
		says200("<html>")(rw, r)
	default:
		says200(created)(rw, r)
	}
}

// run is a program that publishes what is due and ends, or dies.
func (w *weather) run(q *Queue) (reports []Report, err error) {
	defer func() {
		if died := recover(); died != nil {
			if e, ok := died.(error); !ok || !errors.Is(e, errDied) {
				panic(died)
			}
		}
	}()
	err = q.RunOnce(context.Background(), func(r Report) { reports = append(reports, r) })
	return reports, err
}

// A ledger is what a person knows of one post at one of its times.
type ledger struct{ allowed, made int }

// TestNeverTwice: whatever the order of faults, crashes, clock settings and commands, no post reaches the site a
// second time for one of its times unless a person said so; and what the queue says of it is true.
func TestNeverTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "posts")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w := newWeather()
		defer w.site.Close()
		w.next = func() mishap { return rapid.SampledFrom(mishaps).Draw(t, "mishap") }
		keys := keystore.Open(keystore.Config{Dir: dir, Keeping: keystore.Plain})
		if _, err := keys.Add(credential(w.site.URL, "alice")); err != nil {
			t.Fatal(err)
		}
		c := &clock{time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)}
		m := &model{w: w, clock: c, dir: dir, book: map[string]*ledger{}}
		t.Repeat(map[string]func(*rapid.T){
			"add": m.add, "run": m.run, "resolve": m.resolve, "cancel": m.cancel, "clock": m.setClock, "": m.check,
		})
	})
}

type model struct {
	w     *weather
	clock *clock
	dir   string
	added int
	book  map[string]*ledger // by text and time
}

// queue is that of a program that has just started.
func (m *model) queue() *Queue {
	return Open(Config{
		Keys: keystore.Open(keystore.Config{Dir: m.dir, Keeping: keystore.Plain}), Now: m.clock.Now, Location: time.UTC,
		Base: &http.Client{Transport: m.w},
	})
}

func (m *model) posts(t *rapid.T) []Post {
	all, err := m.queue().Posts()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (m *model) entry(p Post) *ledger {
	key := fmt.Sprint(p.ID, " ", p.At.Unix())
	if m.book[key] == nil {
		m.book[key] = &ledger{allowed: 1}
	}
	return m.book[key]
}

func (m *model) add(t *rapid.T) {
	all, err := m.queue().cfg.Keys.Accounts()
	if err != nil {
		t.Fatal(err)
	}
	m.added++
	if _, err := m.queue().Add(Draft{
		Account: all[0], TopicID: 1, Raw: fmt.Sprintf("<%d>", m.added),
		At:    m.clock.now.Add(time.Duration(rapid.IntRange(-1, 3).Draw(t, "hours")) * time.Hour),
		Every: rapid.SampledFrom([]Every{"", "", Daily, "1h0m0s"}).Draw(t, "every"),
	}); err != nil {
		t.Fatal(err)
	}
}

func (m *model) run(t *rapid.T) {
	before := m.posts(t)
	if _, err := m.w.run(m.queue()); err != nil {
		t.Fatal(err)
	}
	reached, made := m.w.take()
	for _, p := range before {
		body := fmt.Sprintf(`{"raw":"\u003c%s\u003e","topic_id":1}`, p.Raw[1:len(p.Raw)-1])
		l := m.entry(p)
		for range count(reached, body) {
			if l.allowed--; l.allowed < 0 {
				t.Fatalf("%s reached the site once more for %v", p.Raw, p.At)
			}
		}
		l.made += count(made, body)
		for _, now := range m.posts(t) {
			if now.ID == p.ID && now.SentAt.After(p.SentAt) && l.made == 0 {
				t.Fatalf("%s is said to be sent and is not there", p.Raw)
			}
		}
	}
}

// take is what reached the site and what it made since the last call.
func (w *weather) take() (reached, made []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	reached, made = w.reached, w.made
	w.reached, w.made = nil, nil
	return reached, made
}

func count(all []string, s string) int {
	n := 0
	for _, a := range all {
		if a == s {
			n++
		}
	}
	return n
}

func (m *model) resolve(t *rapid.T) {
	all := m.posts(t)
	if len(all) == 0 {
		t.Skip("nothing to resolve")
	}
	p := rapid.SampledFrom(all).Draw(t, "post")
	as := rapid.SampledFrom([]Resolution{ItWasSent, SendAgain}).Draw(t, "as")
	_, err := m.queue().Resolve(p.ID, as)
	open := p.State == Unknown || p.State == Failed || p.State == Sending // what is left of a run that died
	if open != (err == nil) || err != nil && !errors.Is(err, userkeys.Conflict) {
		t.Fatalf("resolving a post that is %s: %v", p.State, err)
	}
	if l := m.entry(p); err == nil && as == SendAgain {
		l.allowed, l.made = l.allowed+1, 0
	}
}

func (m *model) cancel(t *rapid.T) {
	all := m.posts(t)
	if len(all) == 0 {
		t.Skip("nothing to cancel")
	}
	p := rapid.SampledFrom(all).Draw(t, "post")
	if _, err := m.queue().Cancel(p.ID); err != nil && p.State != Sent {
		t.Fatalf("cancelling a post that is %s: %v", p.State, err)
	}
}

func (m *model) setClock(t *rapid.T) {
	m.clock.now = m.clock.now.Add(time.Duration(rapid.IntRange(-36, 72).Draw(t, "hours")) * time.Hour)
}

// check: what waits or failed has not been made since a person last spoke.
func (m *model) check(t *rapid.T) {
	for _, p := range m.posts(t) {
		if l := m.entry(p); (p.State == Waiting || p.State == Failed) && l.made > 0 {
			t.Fatalf("%s is %s, but the site has it", p.Raw, p.State)
		}
	}
}
