package wiring_test

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"userkeys/internal/testkit/nettest"
	"userkeys/internal/wiring"
)

const megabyte = 1 << 20

func percent() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func collections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC
}

var kept [][]byte

// collectUntil collects until good says so.
func collectUntil(t *testing.T, good func(percent uint64) bool) {
	t.Helper()
	for end := time.Now().Add(nettest.Patience); !good(percent()); runtime.Gosched() {
		if runtime.GC(); time.Now().After(end) {
			t.Fatalf("the percentage stays %d", percent())
		}
	}
}

// A small heap may grow by the headroom before it is collected; a great one grows by Go's rule, and a small one has its
// headroom again.
func TestKeepHeadroom(t *testing.T) {
	defer wiring.KeepHeadroom(32 * megabyte)()
	collectUntil(t, func(p uint64) bool { return p > 400 })
	before := collections()
	for range 20 {
		kept = append(kept, make([]byte, megabyte))
	}
	if n := collections() - before; n > 0 {
		t.Errorf("%d collections while 20 MB were allocated", n)
	}
	for range 60 {
		kept = append(kept, make([]byte, megabyte))
	}
	collectUntil(t, func(p uint64) bool { return p < 120 })
	kept = nil
	collectUntil(t, func(p uint64) bool { return p > 400 })
}

func TestHeadroomEnds(t *testing.T) {
	stop := wiring.KeepHeadroom(32 * megabyte)
	stop()
	stop()
	for range 5 {
		runtime.GC()
	}
	if p := percent(); p != 100 {
		t.Errorf("afterwards the percentage is %d", p)
	}
}

// Who runs the program has chosen already, by GOGC; or wants none.
func TestHeadroomOfOthers(t *testing.T) {
	for _, c := range []struct {
		before int
		bytes  int64
	}{{50, 32 * megabyte}, {-1, 32 * megabyte}, {100, 0}, {100, -1}} {
		was := debug.SetGCPercent(c.before)
		stop := wiring.KeepHeadroom(c.bytes)
		if got := debug.SetGCPercent(was); got != c.before {
			t.Errorf("with %d percent and %d bytes it became %d percent", c.before, c.bytes, got)
		}
		stop()
		debug.SetGCPercent(was)
	}
}
