// Package authority decides: may this app have a key, and is this key good for
// this request now. Every door asks it; no door decides by itself.
//
// Every grant takes three steps. [Authority.Examine] judges the request before anybody has signed in,
// [Authority.Prepare] stores the question to the user, and [Authority.Grant] or [Authority.Deny] ends it. Requests
// from a page, from a device, without a page, and for a one-time password all take these steps. The embedded
// [keycheck.Checker] checks keys.
package authority

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"userkeys"
	"userkeys/internal/jobs"
	"userkeys/internal/keycheck"
	"userkeys/internal/limit"
	"userkeys/site"
)

// Config is what an [Authority] is made of.
type Config struct {
	Store   Store
	Catalog *userkeys.Catalog // nil: Discourse's scopes
	// Pinned site settings, by name, win over those in the store and cannot be changed while running.
	Pinned map[string]string
	// Carriers are where a key may stand in the header Authorization. With any, Pinned has user_api_key_prefix.
	Carriers []site.Carrier
	// Profiles has each Access tell the name and the e-mail address of its user; each user then takes more memory.
	Profiles bool
	// MaxKeys bounds the keys kept in memory; 0 means two million, some 600 MB if all are in use by as many users.
	MaxKeys int
	// PauseAfter is, by the name of a login, how long after a user's last sign-in through it their keys pause: they are
	// refused with [userkeys.ErrOwnerGone] until the user signs in again. A login that is missing here pauses none.
	PauseAfter map[string]time.Duration
	Now        func() time.Time // nil: the system's clock
	Logger     *slog.Logger     // nil: none
}

// Authority decides. Make one with [New] and keep [Authority.Run] running.
//
// Besides the methods below it has those of its Checker: Check, Holds and Edge, so that doors can ask it, Settings and
// Catalog for what is in force, and Ready, which reports whether requests can be decided now.
type Authority struct {
	*core
	*userKeys
	*adminKeys
	*settings
	store Store
}

// core is what all parts of an authority share.
type core struct {
	*keycheck.Checker
	now        func() time.Time
	log        *slog.Logger
	pauseAfter map[string]time.Duration // see Config.PauseAfter

	quotas QuotaStore
	// strangers counts what is bounded by the minute beside keys: callers without one, users, moves of keys.
	strangers *limit.Memory
	secret    [32]byte // of this process, see strangerID
}

// New makes an authority and loads the settings.
func New(ctx context.Context, cfg Config) (*Authority, error) {
	if cfg.Store == nil {
		return nil, errors.New("authority: Config.Store is missing")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if cfg.Catalog == nil {
		if cfg.Catalog, err = userkeys.NewCatalog(); err != nil {
			return nil, err
		}
	}
	pinned, err := checkPinned(cfg.Pinned, cfg.Catalog)
	if err != nil {
		return nil, err
	}
	c := &core{
		now: cfg.Now, log: cfg.Logger, pauseAfter: cfg.PauseAfter, quotas: cfg.Store,
		strangers: limit.NewMemory(limit.MemoryConfig{MaxKeys: maxStrangers}),
	}
	_, _ = rand.Read(c.secret[:]) // crypto/rand.Read never fails
	c.Checker, err = keycheck.New(ctx, keycheck.Config{
		Store: cfg.Store, Catalog: cfg.Catalog, Pinned: pinned, Carriers: cfg.Carriers, PauseAfter: cfg.PauseAfter,
		Profiles: cfg.Profiles, MaxKeys: cfg.MaxKeys, Now: cfg.Now, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &Authority{
		core:      c,
		userKeys:  &userKeys{c, cfg.Store},
		adminKeys: &adminKeys{c, keycheck.NewAdminChecker(c.Checker, cfg.Store), cfg.Store},
		settings:  &settings{c, cfg.Store, pinned},
		store:     cfg.Store,
	}, nil
}

// Run reads the epoch, writes the uses of keys that it has gathered, and cleans up once an hour, until ctx ends. Then
// it writes once more.
func (a *Authority) Run(ctx context.Context) error {
	var cleaning sync.WaitGroup
	defer cleaning.Wait()
	runner := jobs.Runner{Store: a.store, Now: a.now, Logger: a.log}
	cleaning.Go(func() { runner.Run(ctx, jobs.Job{Name: "clean-up", Every: cleanUpInterval, Do: a.CleanUp}) })
	return a.Checker.Run(ctx)
}
