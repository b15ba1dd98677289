package outbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/testkit/dbtest"
	"userkeys/notify"
	"userkeys/outbox"
	"userkeys/site"
	"userkeys/store"
)

// BenchmarkPushes measures what a node pushes to a receiver on the same machine:
//
//	go test ./notify -run - -bench Pushes (Postgres: scripts/with-postgres go test ...)
//
// pushes/s is from the queue, which is full before; told+pushed/s includes writing the notifications, a thousand
// users at a time. check-ratio is the CPU time of a key check while pushes go out, to that of one while none do,
// in slices that take turns; the pushes of those slices are paced to the goal and told as pushed/s-beside.
func BenchmarkPushes(b *testing.B) {
	for _, db := range []struct {
		name string
		open func(testing.TB) *store.Store
		goal int // pushes a second
	}{{"SQLite", dbtest.SQLite, 300}, {"Postgres", dbtest.Postgres, 1000}} {
		b.Run(db.name, func(b *testing.B) {
			m := newPushBench(b, db.open(b))
			for b.Loop() {
				full := m.fromTheQueue(b, 10)
				told := m.toldAndPushed(b, 10)
				ratio, beside := m.checks(b, db.goal)
				b.ReportMetric(full, "pushes/s")
				b.ReportMetric(told, "told+pushed/s")
				b.ReportMetric(ratio, "check-ratio")
				b.ReportMetric(beside, "pushed/s-beside")
			}
		})
	}
}

// pushBench is a site of a thousand users with an app each, and its receiver.
type pushBench struct {
	st       *store.Store
	auth     *authority.Authority
	inbox    *notify.Inbox
	settings site.Settings
	names    []string
	keys     []string // their texts
	got      atomic.Int64
	base     *url.URL
}

func newPushBench(b *testing.B, st *store.Store) *pushBench {
	b.Helper()
	m := &pushBench{st: st, base: &url.URL{Scheme: "https", Host: "site.example"}}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { m.got.Add(1) }))
	b.Cleanup(receiver.Close)
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	for i := range 1000 {
		u, err := st.CreateUser(b.Context(), site.Account{User: site.User{Username: fmt.Sprint("user", i), Active: true}}, system)
		must(err)
		m.names = append(m.names, u.Username)
		k := userkeys.NewKey("")
		m.keys = append(m.keys, k.Reveal())
		_, err = st.Grant(b.Context(), site.Grant{Key: site.UserAPIKey{
			UserID: u.ID, ClientID: "phone" + u.Username, ApplicationName: "a", Hash: k.Hash(), Scopes: userkeys.Scopes{"read", "notifications"},
			PushURL: receiver.URL, CreatedAt: time.Now(),
		}, Caller: system, MaxKeys: 10, MaxRecent: 10})
		must(err)
	}
	var err error
	pinned := map[string]string{
		"allowed_user_api_push_urls": receiver.URL, "push_notification_time_window_mins": "0",
		"max_user_api_reqs_per_minute": "10000", "max_user_api_reqs_per_day": "10000000",
		"max_user_api_reqs_per_user_per_minute": "0", "max_user_api_reqs_per_user_per_day": "0",
	}
	decides := authority.Config{Store: st}
	decides.Pinned = pinned
	m.auth, err = authority.New(b.Context(), decides)
	must(err)
	m.settings = m.auth.Settings()
	return m
}

// start runs a pusher; the function ends it.
func (m *pushBench) start(b *testing.B) (stop func()) {
	b.Helper()
	p, err := outbox.Open(outbox.Config{
		Queue: m.st, Actions: m.st, Settings: func() site.Settings { return m.settings }, Secret: machineSecret, BaseURL: m.base,
	})
	if err != nil {
		b.Fatal(err)
	}
	m.inbox = notify.Open(notify.Config{Store: m.st, Settings: func() site.Settings { return m.settings }, Queued: p.Wake})
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

func (m *pushBench) tell(b *testing.B, names []string) {
	b.Helper()
	if _, err := m.inbox.Add(b.Context(), site.Announcement{Usernames: names, Caller: system, Notification: site.Notification{
		Type: 1, Data: json.RawMessage(`{"topic_title":"Hello","excerpt":"there","url":"/t/1"}`),
	}}); err != nil {
		b.Error(err)
	}
}

// arrived waits until so many pushes came since before.
func (m *pushBench) arrived(b *testing.B, before, n int64) {
	b.Helper()
	for end := time.Now().Add(5 * time.Minute); m.got.Load()-before < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("%d of %d pushes came", m.got.Load()-before, n)
		}
	}
}

// fromTheQueue is how many pushes a second go out of a queue of rounds times a thousand.
func (m *pushBench) fromTheQueue(b *testing.B, rounds int) float64 {
	m.inbox = notify.Open(notify.Config{Store: m.st, Settings: func() site.Settings { return m.settings }})
	for range rounds {
		m.tell(b, m.names)
	}
	before, began := m.got.Load(), time.Now()
	defer m.start(b)()
	m.arrived(b, before, int64(rounds*len(m.names)))
	return float64(rounds*len(m.names)) / time.Since(began).Seconds()
}

// toldAndPushed is the same with the writing of the notifications.
func (m *pushBench) toldAndPushed(b *testing.B, rounds int) float64 {
	defer m.start(b)()
	before, began := m.got.Load(), time.Now()
	for range rounds {
		m.tell(b, m.names)
	}
	m.arrived(b, before, int64(rounds*len(m.names)))
	return float64(rounds*len(m.names)) / time.Since(began).Seconds()
}

// checks compares the CPU time of a key check beside pushes, goal of them a second, with that of one alone.
func (m *pushBench) checks(b *testing.B, goal int) (ratio, pushed float64) {
	defer m.start(b)()
	var quiet, busy []float64
	var sent int64
	var took time.Duration
	for range 8 {
		quiet = append(quiet, m.checkCost(b, func() bool { return false }))
		before, began := m.got.Load(), time.Now()
		told := make(chan struct{})
		go func() { // a twentieth of a second's pushes at a time
			defer close(told)
			tick := time.NewTicker(time.Second / 20)
			defer tick.Stop()
			for i := range 20 {
				n := goal / 20
				m.tell(b, m.names[i*n%len(m.names):][:n])
				<-tick.C
			}
		}()
		busy = append(busy, m.checkCost(b, func() bool {
			select {
			case <-told:
				return m.got.Load()-before >= int64(goal)
			default:
				return false
			}
		}))
		<-told
		m.arrived(b, before, int64(goal))
		sent, took = sent+m.got.Load()-before, took+time.Since(began)
	}
	slices.Sort(quiet)
	slices.Sort(busy)
	return busy[len(busy)/2] / quiet[len(quiet)/2], float64(sent) / took.Seconds()
}

// checkCost is the CPU time of a key check, on a thread of its own, over a second or until over says so.
func (m *pushBench) checkCost(b *testing.B, over func() bool) float64 {
	b.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cpu := func() int64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
			b.Fatal(err)
		}
		return ts.Nano()
	}
	var spent int64
	n := 0
	for end := time.Now().Add(time.Second); time.Now().Before(end) && !over(); time.Sleep(time.Millisecond) {
		began := cpu()
		for range 10 {
			if _, err := m.auth.Check(b.Context(), site.Call{Key: m.keys[n%len(m.keys)], Method: "GET", Path: "/t/1.json"}); err != nil {
				b.Fatal(err)
			}
			n++
		}
		spent += cpu() - began
	}
	return float64(spent) / float64(n)
}

// BenchmarkQueueMemory measures the heap while a queue of a hundred thousand pushes goes out, and as a
// multiple of that of a tenth of it: what waits, waits in the database.
func BenchmarkQueueMemory(b *testing.B) {
	m := newPushBench(b, dbtest.SQLite(b))
	for b.Loop() {
		few := m.heapWhile(b, func() { m.fromTheQueue(b, 10) })
		many := m.heapWhile(b, func() { m.fromTheQueue(b, 100) })
		b.ReportMetric(many/1e6, "MB-heap")
		b.ReportMetric(many/few, "heap-ratio")
	}
}

// heapWhile is the most that the heap held while f ran.
func (m *pushBench) heapWhile(b *testing.B, f func()) float64 {
	b.Helper()
	runtime.GC()
	over := make(chan struct{})
	most := make(chan float64)
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		top := uint64(0)
		for {
			select {
			case <-over:
				most <- float64(top)
				return
			case <-tick.C:
				var s runtime.MemStats
				runtime.ReadMemStats(&s)
				top = max(top, s.HeapInuse)
			}
		}
	}()
	f()
	close(over)
	return <-most
}
