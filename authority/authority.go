// Package authority decides: may this app have a key, and is this key good for
// this request now. Every door asks it; no door decides by itself.
//
// A grant goes Examine (before anybody signed in), Prepare (the question is
// kept on the server), Grant or Deny (the answer). A check goes hash, cache,
// both windows, scope, owner, last used: without a statement to the database
// in steady state. What the cache holds is believed for one second after the
// last look at the database's epoch; see lease.go.
package authority

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"userkeys"
	"userkeys/internal/jobs"
	"userkeys/internal/limit"
)

// Config is what an [Authority] is made of.
type Config struct {
	Store   Store
	Catalog *userkeys.Catalog // nil: Discourse's scopes
	// Pinned site settings, by name, win over those in the store and cannot be changed while running.
	Pinned map[string]string
	// MaxKeys bounds the keys kept in memory; 0 means two million, some 800 MB if all are in use by as many users.
	MaxKeys int
	Now     func() time.Time // nil: the system's clock
	Logger  *slog.Logger     // nil: none
}

const (
	defaultMaxKeys = 2 << 20
	maxAdminKeys   = 1 << 14 // that are counted at once
)

// Authority decides. Make one with [New] and keep [Authority.Run] running.
type Authority struct {
	store   Store
	catalog *userkeys.Catalog
	pinned  map[string]string
	now     func() time.Time
	log     *slog.Logger

	policy    atomic.Pointer[policy]
	cache     *cache
	limiter   *limit.Memory // by key
	users     *limit.Memory // by user; always asked after limiter
	adminKeys *limit.Memory // by admin API key
	// strangers counts what is bounded by the minute beside keys: callers without one, users, moves of keys.
	strangers *limit.Memory
	secret    [32]byte // of this process, see strangerID
	seen      presence
	loads     chan struct{} // a place for each look-up under way
	lease     lease
	writing   sync.Mutex // one flush of uses at a time
}

// New makes an authority and loads the settings.
func New(ctx context.Context, cfg Config) (*Authority, error) {
	if cfg.Store == nil {
		return nil, errors.New("authority: Config.Store is missing")
	}
	a := &Authority{store: cfg.Store, catalog: cfg.Catalog, now: cfg.Now, log: cfg.Logger}
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.catalog == nil {
		var err error
		if a.catalog, err = userkeys.NewCatalog(); err != nil {
			return nil, err
		}
	}
	if cfg.MaxKeys == 0 {
		cfg.MaxKeys = defaultMaxKeys
	}
	a.cache = newCache(cfg.MaxKeys)
	a.limiter = limit.NewMemory(limit.MemoryConfig{MaxKeys: limitedKeys(cfg.MaxKeys)})
	a.strangers = limit.NewMemory(limit.MemoryConfig{MaxKeys: maxStrangers})
	_, _ = rand.Read(a.secret[:]) // crypto/rand.Read never fails
	a.adminKeys = limit.NewMemory(limit.MemoryConfig{MaxKeys: maxAdminKeys})
	a.users = limit.NewMemory(limit.MemoryConfig{MaxKeys: limitedKeys(cfg.MaxKeys)})
	a.loads = make(chan struct{}, maxLoads)
	if err := a.setPinned(cfg.Pinned); err != nil {
		return nil, err
	}
	a.lease.base, a.lease.mark = a.now(), neverRead
	a.store.OnChange(a.obey)
	if err := a.renew(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// limitedKeys is how many keys the limiter counts: more than the cache holds,
// because it refuses new keys rather than forget a minute that is not over.
func limitedKeys(maxKeys int) int { return 2*maxKeys + 1024 }

// Run reads the epoch, writes what was gathered and cleans up, until ctx ends; then it writes once more.
func (a *Authority) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	repeat := func(interval time.Duration, what string, do func(context.Context) error) {
		wg.Go(func() { jobs.Repeat(ctx, interval, jobs.NewFailureLog(a.log, what), do) })
	}
	repeat(epochInterval, "reading the epoch", a.renew)
	repeat(flushInterval, "writing last uses", a.flushDue)
	wg.Go(func() { a.jobs().Run(ctx, a.cleanUpJob()) })
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return a.flushAll(last)
}

// Ready tells whether requests can be decided now.
func (a *Authority) Ready(ctx context.Context) error { return a.ensureFresh(ctx) }

// Statistics of the memory held, for tests and for operators.
type Statistics struct{ CachedKeys, LimitedKeys, LimitedUsers int }

// Statistics counts what is held in memory.
func (a *Authority) Statistics() Statistics {
	return Statistics{CachedKeys: a.cache.len(), LimitedKeys: a.limiter.Len(), LimitedUsers: a.users.Len()}
}
