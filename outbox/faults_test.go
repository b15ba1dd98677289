package outbox_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"userkeys/internal/outward"
	"userkeys/internal/testkit/nettest"
	"userkeys/outbox"
	"userkeys/site"
	"userkeys/store"
)

// A namedRig is an rig whose receivers have names, which lead to servers on this machine.
type namedRig struct {
	*rig
	names  nettest.Names
	inward []string
}

func newNamedRig(t *testing.T) *namedRig {
	t.Helper()
	return &namedRig{rig: newRig(t), names: nettest.Names{Zone: map[string]nettest.Record{}}}
}

// host gives a listening address a name, and an address to push to under it.
func (w *namedRig) host(scheme, name, at string) (pushURL string) {
	w.Helper()
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		w.Fatal(err)
	}
	w.names.Zone[name] = nettest.Record{IPs: []string{"127.0.0.1"}}
	w.inward = append(w.inward, name+":"+port)
	return scheme + "://" + name + ":" + port + "/push"
}

// allow lists addresses.
func (w *namedRig) allow(pushURLs []string) {
	w.Helper()
	for name, value := range map[string]string{"allowed_user_api_push_urls": strings.Join(pushURLs, "|"), "allowed_internal_hosts": strings.Join(w.inward, "|")} {
		if err := w.settings.Set(name, value); err != nil {
			w.Fatal(err)
		}
	}
}

// start runs a pusher with the client of the shipped one, but for who tells it what names lead to.
func (w *namedRig) start(edits ...func(*outbox.Config)) *outbox.Pushes {
	w.Helper()
	p := w.open(func(c *outbox.Config) {
		c.Client = outward.New(outward.Config{Resolver: w.names.Resolver(), Inward: func() []string { return w.settings.InternalPushTargets() }})
		for _, edit := range edits {
			edit(c)
		}
	})
	w.run(p)
	return p
}

// badServers are servers that take no push, by what is wrong with them, with the problem that an attempt has.
func badServers(t *testing.T) map[string]struct {
	address string
	problem outbox.Problem
	off     bool
} {
	t.Helper()
	serve := func(h http.HandlerFunc) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else the handler does not learn that the client went away
			h(w, r)
		}))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		t.Cleanup(func() {
			s.CloseClientConnections()
			s.Close()
		})
		return s
	}
	plain := func(h http.HandlerFunc) *httptest.Server {
		s := serve(h)
		s.Start()
		return s
	}
	tls := serve(func(http.ResponseWriter, *http.Request) { t.Error("a push came by a connection that nobody can trust") })
	tls.StartTLS()
	elsewhere := plain(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	status := func(n int) http.HandlerFunc { return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) } }
	redirect := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, n) }
	}
	slow := func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for _, c := range "HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("a", 1000) {
			if _, err := conn.Write([]byte{byte(c)}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
	at := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	type server = struct {
		address string
		problem outbox.Problem
		off     bool
	}
	return map[string]server{
		"dead":  {nettest.ReserveAddress(t), outbox.ProblemConnection, false},
		"slow":  {at(plain(slow)), outbox.ProblemTimeout, false},
		"500":   {at(plain(status(500))), "status 500", false},
		"410":   {at(plain(status(410))), outbox.ProblemGone, true},
		"moved": {at(plain(redirect(308))), outbox.ProblemMoved, true},
		"303":   {at(plain(redirect(303))), "status 303", false},
		"tls":   {at(tls), outbox.ProblemTLS, false},
	}
}

// TestF37_OneGoodReceiverAmongAThousand tests F37, SS14, SS19, SS22, SS25: a thousand hosts (fewer in short) that are
// dead, slow (a byte a second), broken, gone, moved or without a valid certificate delay the one good receiver by less
// than a second.
func TestF37_OneGoodReceiverAmongAThousand(t *testing.T) {
	t.Parallel()
	hosts := 100
	if os.Getenv("USERKEYS_LONG") != "" {
		hosts = 1000
	}
	w := newNamedRig(t)
	rc := newReceiver(t, nil)
	good := w.host("http", "good.test", rc.Listener.Addr().String())
	urls := []string{good}
	kinds := badServers(t)
	of := map[string][]site.UserAPIKey{}
	ada := w.user("ada")
	var owners []site.User
	var names []string
	for i := range 100 {
		owners = append(owners, w.user(fmt.Sprint("bad", i)))
		names = append(names, owners[i].Username)
	}
	for i := range hosts - 1 {
		kind := slices.Sorted(maps.Keys(kinds))[i%len(kinds)]
		scheme := "http"
		if kind == "tls" {
			scheme = "https"
		}
		u := w.host(scheme, fmt.Sprintf("%s%d.test", kind, i), kinds[kind].address)
		urls = append(urls, u)
		of[kind] = append(of[kind], w.key(owners[i%len(owners)], fmt.Sprint("bad", i), u))
	}
	w.allow(urls)
	w.key(ada, "well", good)
	p := w.start()
	var slowest time.Duration
	tell := func() {
		began, n := time.Now(), len(rc.all())
		w.tell("ada")
		p.Wake()
		w.eventually("the good one has it", func() bool { return len(rc.all()) > n })
		slowest = max(slowest, rc.all()[n].at.Sub(began))
	}
	tell()
	for range 2 {
		for some := range slices.Chunk(names, 20) { // in small transactions: a busy machine must not run out of time for one
			w.tell(some...)
		}
	}
	p.Wake()
	var all []int64
	for _, keys := range of {
		for _, k := range keys {
			all = append(all, k.ID)
		}
	}
	tried := func() (n int) {
		state, err := w.KeyPushes(w.ctx, all)
		if err != nil {
			t.Log("a read came too late, on a busy machine:", err)
		}
		for _, s := range state {
			if !s.FailedAt.IsZero() {
				n++
			}
		}
		return n
	}
	// Again and again, while all others are tried, the slow ones until they end.
	w.eventually("all were tried", func() bool {
		tell()
		time.Sleep(100 * time.Millisecond)
		return tried() == hosts-1
	})
	t.Logf("the good one waited for %v at most, for %d notifications", slowest.Round(time.Millisecond), len(rc.all()))
	if slowest > nettest.Bound(time.Second) {
		t.Errorf("the good one waited for %v", slowest)
	}
	for kind, keys := range of {
		for id, s := range w.pushes(keys) {
			if s.Problem != kinds[kind].problem || s.OffAt.IsZero() == kinds[kind].off || !s.DeliveredAt.IsZero() {
				t.Errorf("%s: key %d is told %+v", kind, id, s)
			}
		}
	}
}

// pushes are how it goes with keys.
func (o *rig) pushes(keys []site.UserAPIKey) map[int64]outbox.KeyState {
	o.Helper()
	ids := make([]int64, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	out, err := o.KeyPushes(o.ctx, ids)
	if err != nil {
		o.Fatal(err)
	}
	for _, id := range ids {
		if _, ok := out[id]; !ok {
			out[id] = outbox.KeyState{}
		}
	}
	return out
}

// TestF37_AGigabyteIsNotRead tests F37: an answer of a gigabyte is a success by its status, and nobody reads it.
func TestF37_AGigabyteIsNotRead(t *testing.T) {
	t.Parallel()
	const gigabyte = 1 << 30
	written := make(chan int64, 100)
	rc := newReceiver(t, func(_ int, rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", fmt.Sprint(gigabyte))
		n, _ := io.CopyN(rw, zeros{}, gigabyte)
		written <- n
	})
	w := newNamedRig(t)
	u := w.host("http", "big.test", rc.Listener.Addr().String())
	w.allow([]string{u})
	k := w.key(w.user("ada"), "phone", u)
	p := w.start()
	w.tell("ada")
	p.Wake()
	w.eventually("it is delivered", func() bool { return !w.push(k).DeliveredAt.IsZero() })
	if n := <-written; n > 64<<20 { // what the systems' buffers hold
		t.Errorf("%d bytes were taken", n)
	}
	w.eventually("it is done", func() bool { return len(w.list(outbox.Filter{})) == 0 })
}

// zeros is a source without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestF39_PushesAndDNS tests F39, SS11, SS12, SS13: whatever DNS does, an attempt ends within five seconds, reaches
// nothing inside, and delays no other host.
func TestF39_PushesAndDNS(t *testing.T) {
	t.Parallel()
	rc, inner := newReceiver(t, nil), newReceiver(t, nil)
	w := newNamedRig(t)
	good := w.host("http", "good.test", rc.Listener.Addr().String())
	_, port, _ := net.SplitHostPort(inner.Listener.Addr().String())
	inside := make([]string, 1000)
	for i := range inside {
		inside[i] = fmt.Sprintf("10.0.%d.%d", i/250, i%250)
	}
	here := nettest.Record{IPs: []string{"127.0.0.1", "::1"}}
	want := map[string]outbox.Problem{
		"silent.test": outbox.ProblemTimeout, "broken.test": outbox.ProblemConnection, "unknown.test": outbox.ProblemConnection,
		"many.test": outbox.ProblemAddress, "inside.test": outbox.ProblemAddress, "alias.test": outbox.ProblemAddress,
		"turns.test": outbox.ProblemAddress, "appears.test": outbox.ProblemConnection,
	}
	for name, r := range map[string]nettest.Record{
		"silent.test": {Silent: true}, "broken.test": {Broken: true}, "many.test": {IPs: inside}, "inside.test": here, "alias.test": {CNAME: "inside.test"},
		"turns.test": {IPs: []string{"10.0.0.1"}, Then: &here}, "appears.test": {Then: &nettest.Record{IPs: []string{"127.0.0.1"}}},
	} {
		w.names.Zone[name] = r
	}
	urls := []string{good}
	keys := map[string]site.UserAPIKey{}
	ada := w.user("ada")
	for name := range want {
		u := "http://" + name + ":" + port + "/push"
		urls = append(urls, u)
		keys[name] = w.key(ada, name, u)
	}
	w.allow(urls)
	w.key(ada, "well", good)
	attempts := &attemptLog{Store: w.Store}
	p := w.start(func(c *outbox.Config) { c.Queue = attempts })
	w.tell("ada")
	began := time.Now()
	p.Wake()
	w.eventually("the good one has it", func() bool { return len(rc.all()) == 1 })
	if late := rc.all()[0].at.Sub(began); late > nettest.Bound(time.Second) {
		t.Errorf("the good one waited for %v", late)
	}
	for name, k := range keys {
		w.eventually(name+" was tried", func() bool { return len(attempts.at(name)) > 0 })
		if got := attempts.at(name)[0]; got.Problem != want[name] {
			t.Errorf("%s: %+v, want %s", name, got, want[name])
		}
		if got := w.push(k); !got.DeliveredAt.IsZero() {
			t.Errorf("%s: %+v", name, got)
		}
	}
	took := attempts.at("silent.test")[0].At.Sub(began)
	t.Logf("without an answer of DNS an attempt took %v", took.Round(time.Millisecond))
	if took > nettest.Bound(5*time.Second) {
		t.Errorf("an attempt took %v", took)
	}

	// Another answer at the next attempt: what it leads to is judged again.
	w.offset.Store(int64(time.Minute))
	p.Wake()
	for _, name := range []string{"turns.test", "appears.test"} {
		w.eventually(name+" was tried again", func() bool { return len(attempts.at(name)) > 1 })
		if got := attempts.at(name)[1]; got.Problem != outbox.ProblemAddress || w.names.Looked(name) < 2 {
			t.Errorf("%s, looked up %d times: %+v", name, w.names.Looked(name), got)
		}
	}
	if n := len(inner.all()); n != 0 {
		t.Errorf("%d pushes came inside", n)
	}
}

// attemptLog keeps what became of every attempt: the state of a key is that of the newest one only.
type attemptLog struct {
	*store.Store
	mu      sync.Mutex
	results []outbox.Result
}

func (l *attemptLog) FinishDeliveries(ctx context.Context, results []outbox.Result) error {
	err := l.Store.FinishDeliveries(ctx, results)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.results = append(l.results, results...)
	}
	return err
}

// at are the attempts at a host, the first one first.
func (l *attemptLog) at(host string) []outbox.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []outbox.Result
	for _, r := range l.results {
		if !r.Unmade && strings.HasPrefix(r.PushURL, "http://"+host+":") {
			out = append(out, r)
		}
	}
	return out
}

// countingStore counts how often rights are read.
type countingStore struct {
	*store.Store
	reads atomic.Int64
	slow  atomic.Int64 // nanoseconds that each read takes longer
}

func (s *countingStore) DeliveryDetails(ctx context.Context, d []outbox.Delivery) ([]outbox.Details, error) {
	s.reads.Add(1)
	details, err := s.Store.DeliveryDetails(ctx, d)
	time.Sleep(time.Duration(s.slow.Load()))
	return details, err
}

// TestRightsAreReadAgainTogether tests SS23: pushes that wait for connections have their rights read again
// together, and none is sent by rights that a slow database read too long ago.
func TestRightsAreReadAgainTogether(t *testing.T) {
	t.Parallel()
	const hosts = 60
	rc := newReceiver(t, nil)
	var urls []string
	for i := range hosts {
		urls = append(urls, fmt.Sprintf("http://host%d.test/push", i))
	}
	o := newRig(t, urls...)
	ada := o.user("ada")
	for i, u := range urls {
		o.key(ada, fmt.Sprint("app", i), u)
	}
	st := &countingStore{Store: o.Store}
	var dialled atomic.Int64
	open := make(chan struct{})
	p := o.open(func(c *outbox.Config) {
		c.Queue = st
		c.Client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			dialled.Add(1)
			<-open
			return (&net.Dialer{}).DialContext(ctx, network, rc.Listener.Addr().String())
		}}}
	})
	o.run(p)
	o.tell("ada")
	p.Wake()
	o.eventually("all wait for connections", func() bool { return dialled.Load() == hosts })
	time.Sleep(400 * time.Millisecond) // until what was read counts as old
	before := st.reads.Load()
	st.slow.Store(int64(time.Second))
	close(open)
	o.eventually("rights are read again", func() bool { return st.reads.Load() > before })
	time.Sleep(500 * time.Millisecond)
	if n := st.reads.Load() - before; n > 2 {
		t.Errorf("%d reads for pushes that ask at the same time", n)
	}
	o.eventually("the slow read is over", func() bool { return st.reads.Load() > before+1 })
	if n := len(rc.all()); n != 0 {
		t.Errorf("%d pushes were sent on what was read a second before", n)
	}
	st.slow.Store(0)
	o.eventually("all are sent", func() bool { return len(rc.all()) >= hosts })
	ids := map[string]bool{}
	for _, r := range rc.all() {
		ids[r.id] = true
	}
	if len(ids) != hosts || len(rc.all()) != hosts {
		t.Errorf("%d pushes, %d different ones", len(rc.all()), len(ids))
	}
}
