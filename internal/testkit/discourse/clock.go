package discourse

import (
	"context"
	"sync"
	"time"
)

// Clock is a site's clock. It runs by itself from the system's time on, until
// it is stopped; [Clock.Pass] moves it either way, and wakes who waits by it.
type Clock struct {
	mu      sync.Mutex
	offset  time.Duration
	stopped time.Time     // zero: it runs
	moved   chan struct{} // closed and replaced when the clock was moved
}

func newClock() *Clock { return &Clock{moved: make(chan struct{})} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	if !c.stopped.IsZero() {
		return c.stopped
	}
	return time.Now().Add(c.offset)
}

// Pass moves the clock forward.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped.IsZero() {
		c.offset += d
	} else {
		c.stopped = c.stopped.Add(d)
	}
	close(c.moved)
	c.moved = make(chan struct{})
}

// Stop stops the clock at the begin of its second, so that tests can count
// seconds exactly; then only [Clock.Pass] moves it.
func (c *Clock) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = c.now().Truncate(time.Second)
}

// until returns a channel that is ready when the clock shows t or was moved
// (so look again), and a function that frees it. A stopped clock is ready only when moved.
func (c *Clock) until(t time.Time) (<-chan struct{}, context.CancelFunc) {
	c.mu.Lock()
	moved, stopped, left := c.moved, !c.stopped.IsZero(), t.Sub(c.now())
	c.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	if stopped && left > 0 {
		left = time.Duration(1<<63 - 1)
	}
	go func() {
		timer := time.NewTimer(left)
		defer timer.Stop()
		defer cancel()
		select {
		case <-timer.C:
		case <-moved:
		case <-ctx.Done():
		}
	}()
	return ctx.Done(), cancel
}

// sleep waits until d has passed by the clock, or ctx ends.
func (c *Clock) sleep(ctx context.Context, d time.Duration) {
	for end := c.Now().Add(d); c.Now().Before(end) && ctx.Err() == nil; {
		ready, free := c.until(end)
		select {
		case <-ready:
		case <-ctx.Done():
		}
		free()
	}
}
