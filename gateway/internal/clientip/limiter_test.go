package clientip

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"userkeys/site"
)

// watch is a clock that tests move.
type watch struct{ t time.Time }

func newWatch() *watch { return &watch{time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)} }

func (c *watch) now() time.Time { return c.t }

func (c *watch) pass(d time.Duration) { c.t = c.t.Add(d) }

// Never more than N in any window, by a model that keeps every request.
func TestAddressCountNeverLetsMoreThroughInAnyWindow(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		short, long := r.IntN(8)+1, r.IntN(20)+1
		e := &site.Edge{Per10Seconds: short, PerMinute: long, BlocksAddresses: true}
		clock := newWatch()
		l := NewLimiter(ForwardedFor(nil), clock.now, nil)
		var accepted []time.Time
		for range 500 {
			clock.pass(time.Duration(r.IntN(9000)) * time.Millisecond)
			now := clock.now()
			x, over := l.count(netip.MustParseAddr("203.0.113.1"), e)
			if over {
				if x.Wait < 1 || x.Wait > longWindow+1 {
					t.Fatalf("wait %d", x.Wait)
				}
				continue
			}
			accepted = append(accepted, now)
			for window, most := range map[time.Duration]int{10 * time.Second: short, time.Minute: long} {
				n := 0
				for _, a := range accepted {
					if now.Sub(a) < window {
						n++
					}
				}
				if n > most {
					t.Fatalf("%d in %v, limit %d", n, window, most)
				}
			}
		}
		if len(accepted) == 0 {
			t.Fatal("nothing passed")
		}
	}
}

// A told wait is enough, and a second less is not.
func TestAddressWaitIsExact(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		e := &site.Edge{Per10Seconds: r.IntN(5) + 1, PerMinute: r.IntN(12) + 1, BlocksAddresses: true}
		a := netip.MustParseAddr("203.0.113.1")
		var plan []time.Duration
		for range r.IntN(30) + 1 {
			plan = append(plan, time.Duration(r.IntN(4))*time.Second)
		}
		// The same past twice, then one more request after the wait, or a second before its end.
		after := func(early int) (over, refused bool) {
			clock := newWatch()
			l := NewLimiter(ForwardedFor(nil), clock.now, nil)
			var x Excess
			for _, d := range plan {
				clock.pass(d)
				x, refused = l.count(a, e)
			}
			if !refused {
				return false, false
			}
			clock.pass(time.Duration(x.Wait-early) * time.Second)
			_, over = l.count(a, e)
			return over, true
		}
		if over, refused := after(0); refused && over {
			t.Fatalf("refused after the wait: %+v %v", e, plan)
		}
		if over, refused := after(1); refused && !over {
			t.Fatalf("a second less is enough: %+v %v", e, plan)
		}
	}
}

func TestRL19AddressesAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("short: counts a million addresses")
	}
	clock := newWatch()
	l := NewLimiter(ForwardedFor(nil), clock.now, nil)
	e := &site.Edge{Per10Seconds: 50, PerMinute: 200, BlocksAddresses: true}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range uint32(1_000_000) {
		a := netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 16), byte(i >> 8), byte(i), 1})
		if _, over := l.count(a, e); over {
			t.Fatal("a first request is refused")
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if mb := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20; mb > 100 {
		t.Errorf("%d MB", mb)
	} else {
		t.Logf("%d MB for a million addresses", mb)
	}
	runtime.KeepAlive(l)
}

// A clock that is set back, a little or far, neither stops an address for long nor panics.
func TestAddressClockSetBack(t *testing.T) {
	t.Parallel()
	clock := newWatch()
	l := NewLimiter(ForwardedFor(nil), clock.now, nil)
	e := &site.Edge{Per10Seconds: 5, PerMinute: 10, BlocksAddresses: true}
	a := netip.MustParseAddr("203.0.113.1")
	for _, back := range []time.Duration{time.Second, 30 * time.Second, time.Hour, 1000 * 24 * time.Hour} {
		for range 5 {
			_, _ = l.count(a, e)
		}
		clock.pass(-back)
		for range 10 {
			_, _ = l.count(a, e)
		}
		clock.pass(2*time.Minute + min(back, time.Minute))
		if _, over := l.count(a, e); over {
			t.Errorf("set back by %v: still refused two minutes later", back)
		}
	}
}

func BenchmarkAddress(b *testing.B) {
	l := NewLimiter(ForwardedFor(nil), newWatch().now, nil)
	e := &site.Edge{Per10Seconds: 1 << 30, PerMinute: 1 << 30, BlocksAddresses: true}
	r := &http.Request{RemoteAddr: "203.0.113.9:4711"}
	b.ReportAllocs()
	for b.Loop() {
		if _, over := l.Count(r, e); over {
			b.Fatal("refused")
		}
	}
}
