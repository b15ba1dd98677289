package notify

import (
	"context"
	"sync"

	"userkeys/internal/jobs"
)

// A request asks a reader to read an inbox.
type request struct {
	ctx    context.Context
	userID int64
	subs   []Subscription
	done   chan struct{} // closed when what follows is there

	messages []Message
	version  int64
	err      error
}

// read is [Bus.Read], and also returns the version of the inbox at that moment. While the bus runs, one of its few
// readers does the work: so no more than these use the database at a time, and only they need the deep stack of a
// database driver, not each of the thousands who wait. While the bus does not run, the caller reads.
func (b *Bus) read(ctx context.Context, userID int64, subs []Subscription) ([]Message, int64, error) {
	b.mu.Lock()
	running := b.running
	b.mu.Unlock()
	if running == nil {
		return b.readNow(ctx, userID, subs)
	}
	r := &request{ctx: ctx, userID: userID, subs: subs, done: make(chan struct{})}
	select {
	case b.asked <- r:
		<-r.done // not sooner: it moves the positions on
		return r.messages, r.version, r.err
	case <-running:
		return b.readNow(ctx, userID, subs)
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

// startReaders starts the readers. stop returns when they have ended.
func (b *Bus) startReaders() (stop func()) {
	ends := make(chan struct{})
	b.mu.Lock()
	b.running = ends
	b.mu.Unlock()
	var all sync.WaitGroup
	for range maxReadings {
		all.Go(func() { b.work(ends) })
	}
	return func() {
		b.mu.Lock()
		if b.running == ends {
			b.running = nil
		}
		b.mu.Unlock()
		close(ends)
		all.Wait()
	}
}

// work is the loop of one reader.
func (b *Bus) work(ends <-chan struct{}) {
	for {
		select {
		case r := <-b.asked:
			b.do(r)
		case <-ends:
			return
		}
	}
}

// do reads the inbox that a request asks for. If the store panics, the request fails, as a handler would.
func (b *Bus) do(r *request) {
	defer close(r.done)
	defer jobs.Catch(&r.err)
	r.messages, r.version, r.err = b.readNow(r.ctx, r.userID, r.subs)
}
