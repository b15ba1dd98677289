package gateway

import (
	"sync"
	"time"
)

// pace bounds the lines of one kind that a log gets each second, so that
// nobody can fill a disk with them. What is left out is counted.
type pace struct {
	most int // lines a second

	mu      sync.Mutex
	second  int64
	written int
	leftOut int
}

// mayWrite counts a line, and tells how many were left out before it.
func (p *pace) mayWrite(now time.Time) (leftOut int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := now.Unix(); s != p.second {
		p.second, p.written = s, 0
	}
	if p.written >= p.most {
		p.leftOut++
		return 0, false
	}
	p.written++
	leftOut, p.leftOut = p.leftOut, 0
	return leftOut, true
}
