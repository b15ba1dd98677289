package wiring

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// goDefault is the percentage of Go's own rule: collect when the heap has doubled.
const goDefault = 100

// KeepHeadroom has the garbage collector wait until about so many bytes were allocated since its last collection. A
// heap that is greater than that is collected by Go's own rule, when it has doubled. By that rule alone, a server whose
// heap is a few megabytes collects many times a second, and pays each time for what a collection costs however little
// there is. Stop ends that.
//
// If the process has a percentage already, which the environment variable GOGC says, or bytes is not positive, nothing
// changes. A limit of memory, which GOMEMLIMIT says, holds as always.
func KeepHeadroom(bytes int64) (stop func()) {
	before := debug.SetGCPercent(goDefault)
	if before != goDefault || bytes <= 0 {
		debug.SetGCPercent(before)
		return func() {}
	}
	p := &pacer{bytes: bytes, percent: goDefault}
	p.adjust()
	p.watch()
	return p.stop
}

type pacer struct {
	bytes int64

	mu      sync.Mutex
	percent int // 0: stopped
}

func (p *pacer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.percent != 0 {
		p.percent = 0
		debug.SetGCPercent(goDefault)
	}
}

// watch adjusts the percentage after each collection: what is garbage at once tells when one has ended.
func (p *pacer) watch() {
	runtime.AddCleanup(new([32]byte), func(p *pacer) {
		if p.adjust() {
			p.watch()
		}
	}, p)
}

// adjust sets the percentage for a heap as the last collection left it, unless p was stopped. Setting it stops the
// program for a moment, so that is done only if it makes a difference.
func (p *pacer) adjust() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.percent == 0 {
		return false
	}
	percent := percentFor(p.bytes, heap())
	if 8*max(percent-p.percent, p.percent-percent) > p.percent {
		p.percent = percent
		debug.SetGCPercent(percent)
	}
	return true
}

// heap returns what Go's rule takes for the heap: what the last collection left, and what it had to look through
// besides.
func heap() (bytes int64) {
	parts := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
	}
	metrics.Read(parts)
	for _, part := range parts {
		bytes += int64(part.Value.Uint64())
	}
	return bytes
}

// leastHeap is the heap that Go takes a smaller one for: with 100 percent it does not collect below 4 MB.
const leastHeap = 4 << 20

// percentFor returns by how many percent a heap may grow, so that so many bytes can be allocated.
func percentFor(bytes, heap int64) int {
	return int(max(goDefault, goDefault*bytes/max(heap, leastHeap)))
}
