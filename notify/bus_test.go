package notify_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"userkeys"
	"userkeys/notify"
	"userkeys/site"
	"userkeys/store"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

var _ notify.BusStore = (*store.Store)(nil)

// inboxes is a database that tests write to as another process would.
type inboxes struct {
	mu     sync.Mutex
	notes  map[int64][]site.Notification
	back   int64 // taken off every version: an older database
	rounds int
	err    error
}

func newInboxes() *inboxes { return &inboxes{notes: map[int64][]site.Notification{}} }

// add writes a notification for each of users.
func (in *inboxes) add(users ...int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, u := range users {
		in.notes[u] = append(in.notes[u], site.Notification{ID: int64(len(in.notes[u]) + 1), Position: int64(len(in.notes[u]) + 1), UserID: u, Type: 1, Data: []byte("{}")})
	}
}

func (in *inboxes) fail(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.err = err
}

func (in *inboxes) asked() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := in.rounds
	in.rounds = 0
	return n
}

func (in *inboxes) InboxState(_ context.Context, id int64) (site.Inbox, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := int64(len(in.notes[id]))
	return site.Inbox{UserID: id, Version: n - in.back, Newest: n, Position: n}, in.err
}

func (in *inboxes) InboxVersions(_ context.Context, ids []int64) (map[int64]int64, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.rounds++
	versions := map[int64]int64{}
	for _, id := range ids {
		if n := len(in.notes[id]); n > 0 {
			versions[id] = int64(n) - in.back
		}
	}
	return versions, in.err
}

func (in *inboxes) Notifications(_ context.Context, f site.NotificationFilter) ([]site.Notification, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	list := slices.Clone(in.notes[f.UserID])
	slices.Reverse(list)
	return list[:min(len(list), f.Limit)], in.err
}

// running is a bus that runs until its test ends.
func running(t *testing.T, in *inboxes, log *slog.Logger) *notify.Bus {
	t.Helper()
	b := notify.NewBus(notify.BusConfig{Store: in, Logger: log})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return b
}

// login is a session of a user.
func login(user int64, session string) site.Caller {
	return site.Caller{User: site.User{ID: user}, Session: site.Session{ID: session}}
}

// hear begins to listen to a user's counts, from how it is now.
func hear(t *testing.T, b *notify.Bus, user int64, session string) *notify.Listener {
	t.Helper()
	l, err := b.Listen(notify.Subscriber{Caller: login(user, session)}, []notify.Subscription{{Channel: "/notification/1", Position: -1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	if _, err := l.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// woken is how long it takes until l is; negative if it is not in a minute.
func woken(t *testing.T, l *notify.Listener) time.Duration {
	t.Helper()
	began := time.Now()
	if !l.Wait(t.Context(), time.After(time.Minute)) {
		return -1
	}
	return time.Since(began)
}

// TestBusWakes: at once for what this process writes, and soon for what others do.
func TestBusWakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newInboxes()
		in.add(1)
		b := running(t, in, nil)
		l, other := hear(t, b, 1, "a"), hear(t, b, 2, "a")

		in.add(1)
		b.Changed(1, 77)
		if d := woken(t, l); d != 0 {
			t.Errorf("by this process after %v", d)
		}
		if got, err := l.Read(t.Context()); err != nil || len(got) != 1 || got[0].MessageID != 2 {
			t.Errorf("it reads %+v, %v", got, err)
		}
		if d := woken(t, l); d != -1 {
			t.Errorf("a round woke it anew after %v for what it has read", d)
		}
		in.add(1)
		if d := woken(t, l); d < 0 || d > 250*time.Millisecond {
			t.Errorf("by another process after %v", d)
		}
		in.add(2) // the first one ever
		if d := woken(t, other); d < 0 || d > 250*time.Millisecond {
			t.Errorf("for the first notification after %v", d)
		}
		// One reads what another process wrote: the others of that user need it too.
		again := hear(t, b, 1, "b")
		if _, err := l.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		in.add(1)
		if _, err := again.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := woken(t, l); d != 0 {
			t.Errorf("by another who read it after %v", d)
		}
		if _, err := l.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		in.mu.Lock()
		in.back = 2 // a backup was brought back
		in.mu.Unlock()
		if d := woken(t, l); d < 0 || d > 250*time.Millisecond {
			t.Errorf("for an older database after %v", d)
		}
	})
}

// TestBusBetweenReadAndWait: what is written before the first reading, or between it and the wait, is not lost.
func TestBusBetweenReadAndWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newInboxes()
		b := notify.NewBus(notify.BusConfig{Store: in}) // no rounds
		l := hear(t, b, 1, "a")
		in.add(1)
		b.Changed(1)
		if got := woken(t, l); got != 0 {
			t.Errorf("woken after %v", got)
		}
	})
}

// TestBusRounds: nobody waits, no statement; few wait, four a second; many, one a second.
func TestBusRounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newInboxes()
		b := running(t, in, nil)
		time.Sleep(time.Hour)
		if n := in.asked(); n != 0 {
			t.Errorf("%d statements for nobody", n)
		}
		var all []*notify.Listener
		fill := func(n int64) {
			for id := int64(len(all)) + 1; id <= n; id++ {
				all = append(all, hear(t, b, id, "a"))
			}
			time.Sleep(2 * time.Second)
			in.asked()
			time.Sleep(10 * time.Second)
		}
		for _, c := range []struct {
			users int64
			want  int
		}{{1, 40}, {1000, 40}, {2000, 20}, {4000, 10}, {10_000, 10}} {
			fill(c.users)
			if n := in.asked(); n < c.want-1 || n > c.want+1 {
				t.Errorf("%d users: %d statements in 10 seconds, want %d", c.users, n, c.want)
			}
		}
		for _, l := range all {
			l.Close()
		}
		time.Sleep(2 * time.Second)
		in.asked()
		time.Sleep(time.Hour)
		if n := in.asked(); n != 0 || b.Listeners() != 0 {
			t.Errorf("%d statements after all have gone, %d listen", n, b.Listeners())
		}
		l := hear(t, b, 1, "a")
		in.add(1)
		if d := woken(t, l); d < 0 || d > 250*time.Millisecond {
			t.Errorf("after the rest: %v", d)
		}
	})
}

// TestBusWithoutDatabase: it waits, says so once, and goes on.
func TestBusWithoutDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		in := newInboxes()
		b := running(t, in, slog.New(slog.NewTextHandler(&log, nil)))
		l := hear(t, b, 1, "a")
		in.fail(errors.New("gone"))
		in.add(1)
		time.Sleep(time.Minute)
		if n := in.asked(); n > 61 {
			t.Errorf("%d attempts in a minute", n)
		}
		if _, err := l.Read(t.Context()); err == nil {
			t.Error("it reads without a database")
		}
		in.fail(nil)
		if d := woken(t, l); d < 0 || d > time.Second {
			t.Errorf("woken after %v", d)
		}
		synctest.Wait()
		if n := strings.Count(log.String(), "level=WARN"); n != 1 {
			t.Errorf("it says %d times: %s", n, log.String())
		}
	})
}

// TestBusLimits: a caller, a user and the node have bounds; who leaves makes room.
func TestBusLimits(t *testing.T) {
	t.Parallel()
	b := notify.NewBus(notify.BusConfig{Store: newInboxes(), MaxListeners: 100})
	listen := func(user int64, caller, client string, seq int64) (*notify.Listener, error) {
		return b.Listen(notify.Subscriber{Caller: login(user, caller), Client: client, Seq: seq}, nil)
	}
	must := func(user int64, caller, client string, seq int64) *notify.Listener {
		t.Helper()
		l, err := listen(user, caller, client, seq)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	refused := func(user int64, caller, client string) {
		t.Helper()
		_, err := listen(user, caller, client, 1)
		if e := userkeys.AsError(err); !errors.Is(err, userkeys.RateLimited) || e.RetryAfter < 15*time.Second {
			t.Errorf("%d %s: %v", user, caller, err)
		}
	}
	var six []*notify.Listener
	for range 6 {
		six = append(six, must(1, "key 1", "", 0))
	}
	refused(1, "key 1", "")
	refused(1, "key 1", "x")
	six[0].Close()
	six[0].Close() // twice is once
	poll := must(1, "key 1", "x", 5)
	later := must(1, "key 1", "x", 6) // in place of it
	if !poll.Over() || later.Over() {
		t.Error("a later poll is no other poll")
	}
	poll.Close()
	if early := must(1, "key 1", "x", 4); !early.Over() || later.Over() {
		t.Error("an earlier poll came later")
	}
	if same := must(1, "key 1", "x", 6); same.Over() || !later.Over() {
		t.Error("a poll was sent anew")
	}
	if must(1, "key 2", "x", 1).Over() {
		t.Error("another key's client has the same name")
	}
	must(2, "key 1", "x", 1)
	for i := range 64 - 7 {
		must(1, "session "+string(rune('a'+i)), "", 0)
	}
	refused(1, "session new", "")
	for i := int64(0); b.Listeners() < 100; i++ {
		must(100+i, "key", "", 0)
	}
	refused(999, "key", "")
	b.Close()
	if b.Listeners() != 0 {
		t.Errorf("%d listen to a closed bus", b.Listeners())
	}
	if _, err := listen(1, "a", "", 0); !errors.Is(err, userkeys.Unavailable) {
		t.Errorf("a closed bus: %v", err)
	}
}

// TestBusThousand: a thousand listen, and notifications of two processes come at random; nobody misses one.
func TestBusThousand(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		const users, writes = 500, 5000
		in := newInboxes()
		b := running(t, in, nil)
		random := rand.New(rand.NewPCG(seed, 1))
		got := make([]int64, 2*users)
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range got {
			user := int64(i/2 + 1)
			all.Go(func() { got[i] = follow(ctx, t, b, user, i%2) })
		}
		synctest.Wait()
		for range writes {
			user := random.Int64N(users) + 1
			in.add(user)
			if random.IntN(2) == 0 {
				b.Changed(user)
			}
			if random.IntN(50) == 0 {
				time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
			}
		}
		time.Sleep(2 * time.Second)
		leave()
		all.Wait()
		for i, last := range got {
			if want := int64(len(in.notes[int64(i/2+1)])); last != want {
				t.Errorf("the listener %d has heard up to %d of %d", i, last, want)
			}
		}
		if b.Listeners() != 0 {
			t.Errorf("%d still listen", b.Listeners())
		}
	})
}

// follow polls one after the other, as an app does, and returns the last alert that it heard of: each once, in order.
func follow(ctx context.Context, t *testing.T, b *notify.Bus, user int64, caller int) int64 {
	subs := []notify.Subscription{{Channel: notify.AlertsChannel + itoa(user), Position: 0}}
	last := int64(0)
	for ctx.Err() == nil {
		l, err := b.Listen(notify.Subscriber{Caller: login(user, itoa(int64(caller)))}, subs)
		if err != nil {
			t.Error(err)
			return last
		}
		messages, err := l.Read(ctx)
		for err == nil && len(messages) == 0 && l.Wait(ctx, nil) {
			messages, err = l.Read(ctx)
		}
		l.Close()
		for _, m := range messages {
			if m.MessageID != last+1 {
				t.Errorf("user %d: %d after %d", user, m.MessageID, last)
			}
			last = m.MessageID
		}
	}
	return last
}

// slowInboxes keep whoever reads an inbox waiting until the test lets them go, or the reader's context ends.
type slowInboxes struct {
	*inboxes
	reads chan struct{} // gets one when a reading begins
	let   chan struct{} // a reading goes on for each, and for good when it is closed
}

func (in slowInboxes) InboxState(ctx context.Context, id int64) (site.Inbox, error) {
	in.reads <- struct{}{}
	select {
	case <-in.let:
		return in.inboxes.InboxState(ctx, id)
	case <-ctx.Done():
		return site.Inbox{}, ctx.Err()
	}
}

// TestBusReaders: while the bus runs four inboxes are read at a time, whoever asks; before and after everybody reads
// by themselves. Nobody waits longer than their context.
func TestBusReaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := slowInboxes{newInboxes(), make(chan struct{}, 100), make(chan struct{})}
		b := notify.NewBus(notify.BusConfig{Store: in})
		var all sync.WaitGroup
		ask := func(ctx context.Context, n int, want error) {
			for range n {
				all.Go(func() {
					messages, err := b.Read(ctx, 1, []notify.Subscription{{Channel: "/notification/1", Position: -1}})
					if !errors.Is(err, want) || err == nil && len(messages) != 1 {
						t.Errorf("it reads %v, %v; want %v", messages, err, want)
					}
				})
			}
			synctest.Wait()
		}
		begun := func(want int) {
			t.Helper()
			n := 0
			for len(in.reads) > 0 {
				<-in.reads
				n++
			}
			if n != want {
				t.Errorf("%d readings began, want %d", n, want)
			}
		}
		ask(t.Context(), 10, nil)
		begun(10) // it does not run yet

		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- b.Run(ctx) }()
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ask(short, 6, context.DeadlineExceeded)
		begun(4)
		ask(t.Context(), 3, nil)
		begun(0)
		time.Sleep(2 * time.Second) // the six have given up, two without having been read for
		synctest.Wait()
		begun(3)
		ask(t.Context(), 6, nil)
		begun(1)
		stop()
		synctest.Wait()
		begun(5) // who waits for a reader waits no more
		close(in.let)
		all.Wait()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		ask(t.Context(), 10, nil)
		begun(10) // it does not run any more
	})
}

// TestBusReadersSurviveAPanic: it is an error of the one for whom it read.
func TestBusReadersSurviveAPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := running(t, nil, nil) // a nil store panics
		synctest.Wait()
		for range 10 {
			if _, err := b.Read(t.Context(), 1, nil); err == nil || !strings.Contains(err.Error(), "panic") {
				t.Errorf("it reads with %v", err)
			}
		}
	})
}
