// Package outbox pushes notifications to the servers of apps: the rules of when
// a push is sent, held back, repeated or given up (rules.go), the pusher that
// sends, and what people see and do about pushes ([Pushes]).
package outbox

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"userkeys"
	"userkeys/internal/outward"
	"userkeys/site"
)

// Config is what [Open] needs.
type Config struct {
	Actions ActionStore // what people see and do
	// Queue is the queue of deliveries; nil: nothing can be sent, for programs that only look and queue.
	Queue    QueueStore
	Settings func() site.Settings // the site settings of the moment
	// Secret is the machine secret that every key's push secret is made of, the same on all nodes: 32 bytes at least.
	// Without it nothing can be sent, and no app can get its push secret.
	Secret  []byte
	BaseURL *url.URL // how browsers reach the site
	// Client makes the requests; nil: one of package outward that reaches public addresses, and
	// inside what allowed_internal_hosts and literal addresses in allowed_user_api_push_urls name.
	Client *http.Client
	// PauseAfter is, by the name of a login, how long after a user's last sign-in through it their keys pause; nothing is
	// pushed to them then. See authority.Config.
	PauseAfter map[string]time.Duration
	Now        func() time.Time // nil: the system's clock
	Logger     *slog.Logger     // nil: none
}

// Pushes are a site's pushes: what people see and do about them, and their sending. Make one with [Open], and keep
// [Pushes.Run] running on as many nodes as there are.
type Pushes struct {
	cfg    Config
	store  ActionStore
	pusher *pusher

	mu   sync.Mutex
	last map[action]time.Time
}

// Open returns the pushes of a site.
func Open(cfg Config) (*Pushes, error) {
	if cfg.Actions == nil || cfg.Settings == nil {
		return nil, errors.New("outbox: Config needs Actions and Settings")
	}
	if len(cfg.Secret) > 0 {
		if cfg.BaseURL == nil {
			return nil, errors.New("outbox: a Config with a Secret needs a BaseURL")
		}
		if _, err := userkeys.NewPushSecret(cfg.Secret, 1, time.Unix(1, 0)); err != nil {
			return nil, err
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Client == nil {
		settings := cfg.Settings
		cfg.Client = outward.New(outward.Config{
			OnlyHTTP1: true, WriteTimeout: writeFor, MaxHeader: maxAnswerHeader,
			Inward: func() []string { return settings().InternalPushTargets() },
		})
	}
	return &Pushes{cfg: cfg, store: cfg.Actions, pusher: newPusher(cfg), last: map[action]time.Time{}}, nil
}

// Run sends what is queued until ctx ends. Then attempts under way are given up; the next node that looks makes them
// again, under the same ids. It returns an error at once if there is no Secret or no Queue.
func (p *Pushes) Run(ctx context.Context) error {
	if len(p.cfg.Secret) == 0 || p.cfg.Queue == nil {
		return errors.New("outbox: nothing can be sent without a Secret and a Queue")
	}
	p.pusher.run(ctx)
	return nil
}

// Wake has the pusher look at once for something to send. It never waits.
func (p *Pushes) Wake() { p.pusher.look() }
