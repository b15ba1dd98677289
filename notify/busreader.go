package notify

import (
	"context"
	"fmt"
	"sync"
)

// A job is an inbox that a reader is to read for somebody.
type job struct {
	ctx    context.Context
	userID int64
	subs   []Subscription
	done   chan struct{} // closed when what follows is there

	messages []Message
	version  int64
	err      error
}

// read is [Bus.Read], and the inbox's version at that moment. While the bus runs one of its few readers does it: so no
// more than those are at the database at a time, and the deep stack of a database driver is theirs, not that of each of
// thousands who wait. While the bus does not run whoever asks reads.
func (b *Bus) read(ctx context.Context, userID int64, subs []Subscription) ([]Message, int64, error) {
	b.mu.Lock()
	running := b.running
	b.mu.Unlock()
	if running == nil {
		return b.readNow(ctx, userID, subs)
	}
	j := &job{ctx: ctx, userID: userID, subs: subs, done: make(chan struct{})}
	select {
	case b.jobs <- j:
		<-j.done // not sooner: it moves the positions on
		return j.messages, j.version, j.err
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

// work is one reader.
func (b *Bus) work(ends <-chan struct{}) {
	for {
		select {
		case j := <-b.jobs:
			b.do(j)
		case <-ends:
			return
		}
	}
}

// do reads j's inbox. A panic of the store is an error of this reading only, as it is in a handler.
func (b *Bus) do(j *job) {
	defer close(j.done)
	defer func() {
		if p := recover(); p != nil {
			j.err = fmt.Errorf("panic: %v", p)
		}
	}()
	j.messages, j.version, j.err = b.readNow(j.ctx, j.userID, j.subs)
}
