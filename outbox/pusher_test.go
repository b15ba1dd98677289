package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/testkit/nettest"
	"userkeys/notify"
	"userkeys/outbox"
	"userkeys/site"
	"userkeys/store"
)

var (
	machineSecret = []byte(strings.Repeat("s", 32))
	system        = site.Caller{As: site.CallerSystem}
)

// received is a push as it came.
type received struct {
	id, url string
	at      time.Time
	header  http.Header
	body    []byte
}

// receiver is an app's server.
type receiver struct {
	*httptest.Server
	answer func(n int, w http.ResponseWriter, r *http.Request) // n counts from 1; nil: 200

	mu  sync.Mutex
	got []received
}

func newReceiver(t *testing.T, answer func(int, http.ResponseWriter, *http.Request)) *receiver {
	t.Helper()
	rc := &receiver{answer: answer}
	rc.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		rc.mu.Lock()
		rc.got = append(rc.got, received{r.Header.Get(userkeys.PushIDHeader), r.URL.Path, time.Now(), r.Header, body})
		n := len(rc.got)
		rc.mu.Unlock()
		if rc.answer != nil {
			rc.answer(n, w, r)
		}
	}))
	t.Cleanup(rc.Close)
	return rc
}

func (rc *receiver) all() []received {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return slices.Clone(rc.got)
}

// A rig is a store with users and keys, for pushes over it.
type rig struct {
	*testing.T
	*store.Store
	ctx      context.Context
	settings site.Settings
	offset   atomic.Int64 // of the clock
	count    int
}

func newRig(t *testing.T, pushURLs ...string) *rig {
	t.Helper()
	o := &rig{T: t, Store: dbtest.SQLite(t), ctx: t.Context(), settings: site.DefaultSettings()}
	for name, value := range map[string]string{"allowed_user_api_push_urls": strings.Join(pushURLs, "|"), "push_notification_time_window_mins": "0"} {
		if err := o.settings.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func (o *rig) now() time.Time { return time.Now().Add(time.Duration(o.offset.Load())) }

func (o *rig) user(name string) site.User {
	o.Helper()
	u, err := o.CreateUser(o.ctx, site.Account{User: site.User{Username: name, Active: true}}, system)
	if err != nil {
		o.Fatal(err)
	}
	return u
}

func (o *rig) key(u site.User, client, pushURL string) site.UserAPIKey {
	o.Helper()
	o.count++
	k, err := o.Grant(o.ctx, site.Grant{Key: site.UserAPIKey{
		UserID: u.ID, ClientID: client, ApplicationName: client, Hash: userkeys.Key(fmt.Sprint("key", o.count)).Hash(),
		Scopes: userkeys.Scopes{"notifications"}, PushURL: pushURL, CreatedAt: o.now(),
	}, Caller: system, MaxKeys: 10_000, MaxRecent: 10_000})
	if err != nil {
		o.Fatal(err)
	}
	return k
}

func (o *rig) tell(names ...string) site.Announced {
	o.Helper()
	in := notify.Open(notify.Config{Store: o.Store, Settings: func() site.Settings { return o.settings }, Now: o.now})
	told, err := in.Add(o.ctx, site.Announcement{Usernames: names, Caller: system, Notification: site.Notification{
		Type: 1, Data: json.RawMessage(`{"topic_title":"Hello","excerpt":"there","url":"/t/1"}`),
	}})
	if err != nil {
		o.Fatal(err)
	}
	return told
}

func (o *rig) open(edit ...func(*outbox.Config)) *outbox.Pushes {
	o.Helper()
	base, _ := url.Parse("https://site.example")
	cfg := outbox.Config{Queue: o.Store, Actions: o.Store, Settings: func() site.Settings { return o.settings }, Secret: machineSecret, BaseURL: base, Now: o.now}
	for _, f := range edit {
		f(&cfg)
	}
	p, err := outbox.Open(cfg)
	if err != nil {
		o.Fatal(err)
	}
	return p
}

// run runs a pusher until the test ends, or stop is called.
func (o *rig) run(p *outbox.Pushes) (stop func()) {
	ctx, cancel := context.WithCancel(o.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	o.Cleanup(stop)
	return stop
}

// eventually waits for what needs a moment.
func (o *rig) eventually(what string, ok func() bool) {
	o.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			o.Fatal("never happened: " + what)
		}
	}
}

func (o *rig) list(f outbox.Filter) []outbox.Delivery {
	o.Helper()
	ds, err := o.Deliveries(o.ctx, f)
	if err != nil {
		o.Fatal(err)
	}
	return ds
}

func (o *rig) push(k site.UserAPIKey) outbox.KeyState {
	o.Helper()
	m, err := o.KeyPushes(o.ctx, []int64{k.ID})
	if err != nil {
		o.Fatal(err)
	}
	return m[k.ID]
}

// verify checks a push's signature with a key's secret.
func (o *rig) verify(r received, k site.UserAPIKey) error {
	o.Helper()
	secret, err := userkeys.NewPushSecret(machineSecret, k.ID, k.CreatedAt)
	if err != nil {
		o.Fatal(err)
	}
	_, err = userkeys.VerifyPush(userkeys.PushHeaders{
		ID: r.header.Get(userkeys.PushIDHeader), Timestamp: r.header.Get(userkeys.PushTimestampHeader), Signature: r.header.Get(userkeys.PushSignatureHeader),
	}, r.body, time.Now(), secret)
	return err
}

// TestPushIsSignedForItsKeys tests T31, SS20: one request for a notification and an address, which each app there can
// verify, and no other app.
func TestPushIsSignedForItsKeys(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	o := newRig(t, rc.URL+"/push", rc.URL+"/other")
	ada := o.user("ada")
	phone, tablet, other := o.key(ada, "phone", rc.URL+"/push"), o.key(ada, "tablet", rc.URL+"/push"), o.key(ada, "other", rc.URL+"/other")
	p := o.open()
	o.run(p)
	o.tell("ada")
	p.Wake()
	o.eventually("two pushes", func() bool { return len(rc.all()) == 2 })
	for _, r := range rc.all() {
		mine, not := []site.UserAPIKey{phone, tablet}, other
		if r.url == "/other" {
			mine, not = []site.UserAPIKey{other}, phone
		}
		for _, k := range mine {
			if err := o.verify(r, k); err != nil {
				t.Errorf("%s cannot verify its push: %v", k.ClientID, err)
			}
		}
		if err := o.verify(r, not); err == nil {
			t.Errorf("%s verifies a push of another", not.ClientID)
		}
		if n := strings.Count(string(r.body), `"client_id"`); n != len(mine) || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%d elements in %s", n, r.body)
		}
	}
	o.eventually("all is done", func() bool { return len(o.list(outbox.Filter{})) == 0 })
	if s := o.push(phone); s.DeliveredAt.IsZero() || !s.FailingSince.IsZero() {
		t.Errorf("%+v", s)
	}
}

// TestPushIsRepeatedUnderItsID tests F38: what failed is sent again under the same id, with a new time and signature.
func TestPushIsRepeatedUnderItsID(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	o := newRig(t, rc.URL+"/push")
	k := o.key(o.user("ada"), "phone", rc.URL+"/push")
	p := o.open()
	o.run(p)
	o.tell("ada")
	for n := 1; n <= 3; n++ {
		p.Wake()
		o.eventually(fmt.Sprint("attempt ", n), func() bool { return len(rc.all()) >= n })
		if n < 3 {
			o.eventually("it is put off", func() bool {
				ds := o.list(outbox.Filter{})
				return len(ds) == 1 && ds[0].Problem == "status 502" && ds[0].Attempt == n
			})
			if s := o.push(k); s.FailingSince.IsZero() || s.Problem != "status 502" || strings.Contains(s.Problem.Sentence(), "502") {
				t.Errorf("%+v", s)
			}
			o.offset.Add(int64(time.Minute))
		}
	}
	got := rc.all()
	if got[0].id != got[1].id || got[1].id != got[2].id || got[0].id == "" {
		t.Errorf("ids %s, %s, %s", got[0].id, got[1].id, got[2].id)
	}
	o.eventually("it is well", func() bool { return o.push(k).FailingSince.IsZero() && len(o.list(outbox.Filter{})) == 0 })
}

// TestPushEndsWhereItIsNotWanted tests SS25, SS14: a receiver that says that it is gone, or has moved, gets no
// more pushes until somebody tries again.
func TestPushEndsWhereItIsNotWanted(t *testing.T) {
	t.Parallel()
	for status, problem := range map[int]outbox.Problem{410: outbox.ProblemGone, 301: outbox.ProblemMoved} {
		var well atomic.Bool
		elsewhere := newReceiver(t, nil)
		rc := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			if !well.Load() {
				w.Header().Set("Location", elsewhere.URL)
				w.WriteHeader(status)
			}
		})
		o := newRig(t, rc.URL+"/push", elsewhere.URL)
		k := o.key(o.user("ada"), "phone", rc.URL+"/push")
		p := o.open()
		o.run(p)
		o.tell("ada")
		p.Wake()
		o.eventually("it is switched off", func() bool { return !o.push(k).OffAt.IsZero() })
		if told := o.tell("ada"); told.Queued != 0 {
			t.Errorf("%d: queued %d more", status, told.Queued)
		}
		if dead := o.list(outbox.Filter{Dead: true}); len(dead) != 1 || dead[0].Problem != problem {
			t.Errorf("%d: dead %+v", status, dead)
		}
		well.Store(true)
		if err := p.ResumeKey(o.ctx, k.ID, site.Caller{User: site.User{ID: k.UserID}}); err != nil {
			t.Fatal(err)
		}
		o.eventually("the dead one arrives", func() bool { return len(rc.all()) == 2 && o.push(k).OffAt.IsZero() })
		if got := rc.all(); got[0].id != got[1].id || len(elsewhere.all()) != 0 {
			t.Errorf("%d: %s then %s; elsewhere %d", status, got[0].id, got[1].id, len(elsewhere.all()))
		}
	}
}

// TestPushIsNotSentAfterRevocation tests SS23, T32: a key that is revoked while its push waits for a connection gets
// nothing.
func TestPushIsNotSentAfterRevocation(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	o := newRig(t, rc.URL+"/push", rc.URL+"/other")
	ada := o.user("ada")
	k, keeps := o.key(ada, "phone", rc.URL+"/push"), o.key(ada, "other", rc.URL+"/other")
	dialled, goOn := make(chan struct{}, 9), make(chan struct{})
	slow := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled <- struct{}{}
		<-goOn
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}}
	p := o.open(func(c *outbox.Config) { c.Client = slow })
	o.run(p)
	o.tell("ada")
	p.Wake()
	<-dialled
	if _, err := o.Revoke(o.ctx, site.Revocation{IDs: []int64{k.ID}, By: site.RevokedByOwner, At: o.now(), Caller: system}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(400 * time.Millisecond) // until what was read counts as old
	close(goOn)
	o.eventually("nothing waits", func() bool { return len(o.list(outbox.Filter{})) == 0 })
	got := rc.all()
	if len(got) != 1 || got[0].url != "/other" || o.verify(got[0], keeps) != nil {
		t.Errorf("after the revocation came %d pushes", len(got))
	}
	if !o.push(k).DeliveredAt.IsZero() || !o.push(k).FailedAt.IsZero() {
		t.Errorf("an attempt that was not made is told: %+v", o.push(k))
	}
}

// blackHole answers no connection to a host, and counts how many wait.
type blackHole struct {
	hosts   func(addr string) bool
	waiting atomic.Int64
}

func (b *blackHole) client() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if b.hosts(addr) {
			b.waiting.Add(1)
			defer b.waiting.Add(-1)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}}
}

// TestPushToTheDeadDelaysNobody tests SS22, F37: many keys of a host that accepts everything and never answers, and
// many such hosts, delay nobody else.
func TestPushToTheDeadDelaysNobody(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	urls := []string{rc.URL + "/push"}
	for i := range 100 {
		urls = append(urls, fmt.Sprintf("http://dead%d.example/push", i))
	}
	o := newRig(t, urls...)
	names := []string{}
	for i := range 100 {
		u := o.user(fmt.Sprint("dead", i))
		o.key(u, "one", urls[1])
		o.key(u, "two", urls[1+i])
		names = append(names, u.Username)
	}
	o.key(o.user("ada"), "phone", urls[0])
	hole := &blackHole{hosts: func(addr string) bool { return strings.HasPrefix(addr, "dead") }}
	p := o.open(func(c *outbox.Config) { c.Client = hole.client() })
	o.run(p)
	o.tell(names...)
	o.tell(names...)
	p.Wake()
	o.eventually("the dead ones are tried", func() bool { return hole.waiting.Load() >= 90 })
	began := time.Now()
	for range 20 {
		o.tell("ada")
		p.Wake()
	}
	o.eventually("the living one has all", func() bool { return len(rc.all()) == 20 })
	for _, r := range rc.all() {
		if late := r.at.Sub(began); late > nettest.Bound(time.Second) {
			t.Errorf("a push came after %v", late)
		}
	}
}

// TestTwoPushersShare: of several nodes one sends each delivery.
func TestTwoPushersShare(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	o := newRig(t, rc.URL+"/push")
	var names []string
	for i := range 40 {
		u := o.user(fmt.Sprint("user", i))
		o.key(u, "phone", rc.URL+"/push")
		names = append(names, u.Username)
	}
	for range 3 {
		o.run(o.open())
	}
	for range 5 {
		o.tell(names...)
	}
	o.eventually("all is done", func() bool { return len(o.list(outbox.Filter{})) == 0 })
	ids := map[string]int{}
	for _, r := range rc.all() {
		ids[r.id]++
	}
	if len(ids) != 200 || len(rc.all()) != 200 {
		t.Errorf("%d ids in %d pushes", len(ids), len(rc.all()))
	}
}

// failingStore cannot write what became of pushes for a while.
type failingStore struct {
	*store.Store
	failures atomic.Int64
}

func (s *failingStore) FinishDeliveries(ctx context.Context, r []outbox.Result) error {
	if s.failures.Add(-1) >= 0 {
		return errors.New("the disk is full")
	}
	return s.Store.FinishDeliveries(ctx, r)
}

// TestPushAndADatabaseThatFails: results are written when it can again; nothing is sent twice for that.
func TestPushAndADatabaseThatFails(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	o := newRig(t, rc.URL+"/push")
	o.key(o.user("ada"), "phone", rc.URL+"/push")
	st := &failingStore{Store: o.Store}
	st.failures.Store(5)
	p := o.open(func(c *outbox.Config) { c.Queue = st })
	o.run(p)
	o.tell("ada")
	p.Wake()
	o.eventually("it is written", func() bool { return len(o.list(outbox.Filter{})) == 0 })
	if n := len(rc.all()); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// TestPushOfWhoIsGone tests F38: a delivery that a process had claimed when it ended is sent by another one,
// under the same id.
func TestPushOfWhoIsGone(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	o := newRig(t, rc.URL+"/push")
	o.key(o.user("ada"), "phone", rc.URL+"/push")
	o.tell("ada")
	gone, err := o.ClaimDeliveries(o.ctx, rc.URL+"/push", outbox.Claim{Most: 1, At: o.now(), Until: o.now().Add(time.Minute)})
	if err != nil || len(gone) != 1 {
		t.Fatal(gone, err)
	}
	p := o.open()
	o.run(p)
	time.Sleep(100 * time.Millisecond)
	if len(rc.all()) != 0 {
		t.Error("it was taken from who has it")
	}
	o.offset.Store(int64(time.Minute))
	p.Wake()
	o.eventually("it is sent", func() bool { return len(rc.all()) == 1 })
}

// TestPushStopsWithItsProcess: an attempt that our own end cut says nothing about the receiver.
func TestPushStopsWithItsProcess(t *testing.T) {
	t.Parallel()
	hangs := make(chan struct{})
	rc := newReceiver(t, func(_ int, _ http.ResponseWriter, r *http.Request) {
		select {
		case <-hangs:
		case <-r.Context().Done():
		}
	})
	defer close(hangs)
	o := newRig(t, rc.URL+"/push")
	k := o.key(o.user("ada"), "phone", rc.URL+"/push")
	p := o.open()
	stop := o.run(p)
	o.tell("ada")
	p.Wake()
	o.eventually("it is sent", func() bool { return len(rc.all()) == 1 })
	stop()
	ds := o.list(outbox.Filter{})
	if len(ds) != 1 || ds[0].Problem != "" || !o.push(k).FailedAt.IsZero() {
		t.Fatalf("%+v, %+v", ds, o.push(k))
	}
	if ds[0].NextAt.After(o.now()) || ds[0].Attempt != 0 {
		t.Errorf("the next process must wait for it, or counts the attempt: %+v", ds[0])
	}
}

func TestPushTests(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	o := newRig(t, rc.URL+"/push")
	ada, bob := o.user("ada"), o.user("bob")
	k, silent, elsewhere := o.key(ada, "phone", rc.URL+"/push"), o.key(ada, "silent", ""), o.key(ada, "elsewhere", "https://unlisted.example/")
	own := site.Caller{User: site.User{ID: ada.ID}}
	p := o.open()
	o.run(p)
	if err := p.SendTest(o.ctx, k.ID, own); err != nil {
		t.Fatal(err)
	}
	o.eventually("the test arrives", func() bool { return len(rc.all()) == 1 })
	if body := string(rc.all()[0].body); !strings.Contains(body, "Test notification") || !strings.Contains(body, `"client_id":"phone"`) {
		t.Errorf("%s", body)
	}
	for name, c := range map[string]struct {
		key  int64
		by   site.Caller
		code userkeys.Code
	}{
		"again at once":    {k.ID, own, userkeys.RateLimited},
		"no address":       {silent.ID, own, userkeys.Conflict},
		"not listed":       {elsewhere.ID, own, userkeys.Conflict},
		"somebody else's":  {k.ID, site.Caller{User: site.User{ID: bob.ID}}, userkeys.NotFound},
		"none":             {99, own, userkeys.NotFound},
		"an administrator": {k.ID, site.Caller{User: site.User{ID: bob.ID, Admin: true}}, userkeys.RateLimited},
	} {
		if err := p.SendTest(o.ctx, c.key, c.by); !errors.Is(err, c.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.Revoke(o.ctx, site.Revocation{IDs: []int64{k.ID}, By: site.RevokedByOwner, At: o.now(), Caller: system}); err != nil {
		t.Fatal(err)
	}
	o.offset.Store(int64(time.Minute))
	if err := p.SendTest(o.ctx, k.ID, own); !errors.Is(err, userkeys.Conflict) {
		t.Errorf("of a revoked key: %v", err)
	}
}

// What one address of a host answers, its neighbours do not pay for.
func TestPushToABadNeighbour(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/evil":
			w.WriteHeader(http.StatusInternalServerError)
		case "/busy":
			w.Header().Set("Retry-After", "86400")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	o := newRig(t, rc.URL+"/evil", rc.URL+"/busy", rc.URL+"/good")
	bob, ada := o.user("bob"), o.user("ada")
	o.key(bob, "evil", rc.URL+"/evil")
	o.key(bob, "busy", rc.URL+"/busy")
	o.key(ada, "good", rc.URL+"/good")
	p := o.open()
	o.run(p)
	for range 20 {
		o.tell("bob")
	}
	p.Wake()
	o.eventually("the bad ones are closed", func() bool {
		hosts, err := o.PushHosts(o.ctx)
		return err == nil && len(hosts) == 1 && hosts[0].Failures >= 5 && hosts[0].ClosedUntil.After(o.now())
	})
	for range 5 {
		o.tell("ada")
	}
	p.Wake()
	o.eventually("the good one has all", func() bool {
		n := 0
		for _, r := range rc.all() {
			if r.url == "/good" {
				n++
			}
		}
		return n == 5
	})
}

// TestReceiversHeadersAreBounded: thousands of answers are read at a time, and anybody may run a receiver (SS18).
func TestReceiversHeadersAreBounded(t *testing.T) {
	t.Parallel()
	with := func(size int) *receiver {
		return newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", size))
		})
	}
	o := newRig(t)
	short, long := with(15<<10), with(17<<10)
	if err := o.settings.Set("allowed_user_api_push_urls", short.URL+"/push|"+long.URL+"/push"); err != nil {
		t.Fatal(err)
	}
	ada := o.user("ada")
	good, bad := o.key(ada, "short", short.URL+"/push"), o.key(ada, "long", long.URL+"/push")
	p := o.open()
	o.run(p)
	o.tell("ada")
	p.Wake()
	o.eventually("both were tried", func() bool { return !o.push(good).DeliveredAt.IsZero() && o.push(bad).Problem != "" })
	if got := o.push(bad); !got.DeliveredAt.IsZero() || len(long.all()) == 0 {
		t.Errorf("an answer with 17 KiB of headers: %+v", got)
	}
}
