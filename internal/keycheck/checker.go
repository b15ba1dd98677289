// Package keycheck reports whether a user API key is good for a request now.
//
// A [Checker] keeps the keys in use in memory: who each key is, and how often it was used. A check finds the key by
// its hash, charges the limits, and decides by scope and owner. It runs no statement on the database, unless the key
// is not in memory.
//
// Every change in the database that can take access away raises a number there, the epoch. What is in memory counts
// for one second after the epoch was read last, so a change that any node makes is obeyed here within that second.
package keycheck

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"userkeys"
	"userkeys/internal/jobs"
	"userkeys/internal/limit"
	"userkeys/site"
)

// Store is what checks read and write.
type Store interface {
	// KeyByHash finds a key, live or not, with its owner.
	KeyByHash(ctx context.Context, h userkeys.KeyHash) (site.StoredKey, error)
	// RecordUses writes uses in one transaction. It never replaces a LastUsedAt by an earlier one.
	RecordUses(ctx context.Context, uses []site.KeyUse) error
	// RecordSeen writes when users were last seen, in one transaction. It never replaces a time by an earlier one.
	RecordSeen(ctx context.Context, seen []site.UserSeen) error
	// Changes returns what has changed since a mark. For a mark with a negative number it returns the newest mark
	// only.
	Changes(ctx context.Context, since site.Mark) (site.Changes, error)
	// OnChange registers f, which is called with each change of this store that can take access away, before the
	// method that wrote the change returns.
	OnChange(f func(site.Changes))
	// SettingValues reads the settings that differ from their defaults.
	SettingValues(ctx context.Context) (map[string]string, error)
}

// Config is what a [Checker] is made of. All of it is needed but Pinned, Carriers, Profiles and MaxKeys.
type Config struct {
	Store   Store
	Catalog *userkeys.Catalog
	Pinned  map[string]string // settings that win over those in the store, by their proper names
	// PauseAfter is, by the name of a login, how long after the last sign-in through it its users' keys pause. A login
	// that is missing here pauses none.
	PauseAfter map[string]time.Duration
	Carriers   []site.Carrier // where a key may stand in Authorization; Pinned then has user_api_key_prefix
	Profiles   bool           // whether an Access has the name and the e-mail address of its user
	MaxKeys    int            // how many keys are kept in memory at most; 0: [DefaultMaxKeys]
	Now        func() time.Time
	Logger     *slog.Logger
}

// DefaultMaxKeys is how many keys are kept in memory at most if [Config.MaxKeys] is 0.
const DefaultMaxKeys = 2 << 20

// Checker checks keys. Make one with [New] and keep [Checker.Run] running.
type Checker struct {
	store      Store
	catalog    *userkeys.Catalog
	pinned     map[string]string
	pauseAfter map[string]time.Duration // see Config.PauseAfter
	carriers   []site.Carrier
	profiles   bool
	now        func() time.Time
	log        *slog.Logger

	policy  atomic.Pointer[policy]
	table   *table
	users   *limit.Memory // limits by user id; locked while a shard of table is, never the other way round
	seen    presence
	lookUps chan struct{} // has an element for each look-up under way
	lease   lease
	writing sync.Mutex // locked while uses are written
}

// New makes a checker and loads the settings.
//
// Errors: [userkeys.InvalidParameters] for carriers that cannot be.
func New(ctx context.Context, cfg Config) (*Checker, error) {
	if err := site.CheckCarriers(cfg.Carriers, cfg.Pinned["user_api_key_prefix"]); err != nil {
		return nil, err
	}
	if cfg.MaxKeys == 0 {
		cfg.MaxKeys = DefaultMaxKeys
	}
	ck := &Checker{
		store: cfg.Store, catalog: cfg.Catalog, pinned: cfg.Pinned, pauseAfter: cfg.PauseAfter, now: cfg.Now, log: cfg.Logger,
		carriers: cfg.Carriers, profiles: cfg.Profiles, table: newTable(cfg.MaxKeys),
		// Chance fills some shards before others, so there is room for a quarter more users than keys.
		users:   limit.NewMemory(limit.MemoryConfig{MaxKeys: cfg.MaxKeys + cfg.MaxKeys/4 + 1024}),
		lookUps: make(chan struct{}, maxLookUps),
	}
	ck.lease.base, ck.lease.mark = ck.now(), neverRead
	ck.store.OnChange(ck.obey)
	if err := ck.Refresh(ctx); err != nil {
		return nil, err
	}
	return ck, nil
}

// Run reads the epoch and writes the gathered uses until ctx ends. Then it writes once more.
func (ck *Checker) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	repeat := func(interval time.Duration, what string, do func(context.Context) error) {
		wg.Go(func() { jobs.Repeat(ctx, interval, jobs.NewFailureLog(ck.log, what), do) })
	}
	repeat(epochInterval, "reading the epoch", ck.Refresh)
	repeat(flushInterval, "writing last uses", ck.flushDue)
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return ck.Flush(last)
}

// Statistics is how many keys, and how many users with limits, a [Checker] has in memory.
type Statistics struct{ Keys, Users int }

// Statistics returns how much is in memory now.
func (ck *Checker) Statistics() Statistics {
	return Statistics{Keys: ck.table.len(), Users: ck.users.Len()}
}
