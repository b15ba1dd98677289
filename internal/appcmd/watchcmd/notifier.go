package watchcmd

import (
	"context"
	"fmt"
	"sync"
	"time"

	"userkeys"
	"userkeys/internal/desktop"
	"userkeys/internal/watch"
)

// Bounds of desktop notifications.
const (
	notifyPause   = 3 * time.Second // between two
	notifyWaiting = 100             // sites whose news wait to be shown
)

// A notifier shows desktop notifications one at a time. News of an account that come while others are shown become
// one notification.
type notifier struct {
	news chan risen
	done sync.WaitGroup
	end  context.CancelFunc
}

type risen struct {
	state watch.State
	rise  int
}

func (r risen) show(ctx context.Context) {
	title := host(r.state.Site)
	if r.state.Name != "" {
		title = userkeys.Printable(r.state.Name) + " on " + title
	}
	desktop.Notify(ctx, title, fmt.Sprintf("%d new, %d unread", r.rise, r.state.All()))
}

func startNotifier(ctx context.Context) *notifier {
	ctx, cancel := context.WithCancel(ctx)
	n := &notifier{news: make(chan risen, notifyWaiting), end: cancel}
	n.done.Go(func() {
		waiting := map[string]risen{}
		for {
			select {
			case r := <-n.news:
				r.rise += waiting[r.state.ID].rise
				waiting[r.state.ID] = r
				continue
			case <-ctx.Done():
				return
			case <-time.After(notifyPause):
			}
			for id, r := range waiting {
				delete(waiting, id)
				r.show(ctx)
				break
			}
		}
	})
	return n
}
