package keycheck

import (
	"context"
	"errors"
	"time"

	"userkeys"
	"userkeys/internal/jobs"
	"userkeys/internal/limit"
	"userkeys/site"
)

// The bounds of look-ups in the database, so that a flood of invented keys with a right checksum does not overload it.
const (
	maxLookUps    = 64 // at once
	lookUpTimeout = 1500 * time.Millisecond
)

// lookUp is a look-up of one key in the database, for which any number of requests wait.
type lookUp struct {
	hash userkeys.KeyHash
	// canceled means that the key may have changed since the look-up began, so that its result must not be stored. The
	// lock of the shard protects it.
	canceled bool
	done     chan struct{}
	err      error // set before done is closed; nil: the result is in the table
}

// found is a live key in the table, for one request. Its shard is locked.
type found struct {
	shard   *shard
	account *account
	number  uint32           // of account
	hash    userkeys.KeyHash // of the key in the request
	now     time.Time        // the time of the request
	at      *limit.Moment    // now, for the windows of shard
	ends    int64            // unix microseconds: when hash, if it is an alias, stops being good; 0: as account
}

// maxTries is how often find looks for a key that is forgotten as soon as it was loaded.
const maxTries = 8

// find sets f to the live key with hash h, which it looks up in the database if it is not in the table. If the lease
// has ended, it renews it first. The caller unlocks the shard of f.
//
// Errors: [userkeys.ErrInvalidKey] for a key that is not good, [userkeys.RateLimited] if there is no room for it,
// [userkeys.Unavailable] if that cannot be decided now.
func (ck *Checker) find(ctx context.Context, h *userkeys.KeyHash, now time.Time, f *found) error {
	if !ck.lease.valid(now) {
		if err := ck.Ready(ctx); err != nil {
			return err
		}
	}
	hash, ends := *h, int64(0) // of the key that h stands for
	for range maxTries {
		p := fingerprintOf(&hash)
		s := ck.table.shard(&p)
		s.Lock()
		at := s.Begin(now)
		if a, number := s.find(&p); a != nil && a.Data.is(current) {
			if a.Data.expired(now) || over(ends, now) {
				s.Unlock()
				return userkeys.ErrInvalidKey
			}
			*f = found{s, a, number, *h, now, at, ends}
			return nil
		}
		renewed, ok := s.aliases[p]
		bad := s.unknown.Has(&hash, now)
		s.Unlock()
		switch {
		case ok && hash == *h:
			hash, ends = renewed.to, renewed.ends
		case ok || bad && hash != *h: // what the old hash stood for was renewed again, or is gone
			ck.table.forget(*h)
			hash, ends = *h, 0
		case bad:
			return userkeys.ErrInvalidKey
		default:
			err := ck.load(ctx, hash)
			if err != nil && (hash == *h || !errors.Is(err, userkeys.ErrInvalidKey)) { // else see what h stands for now
				return err
			}
			now = ck.now()
		}
	}
	return Unavailable(errors.New("the key was forgotten again and again"))
}

// load looks h up in the database and stores the result. Requests that ask for the same key at the same time share one
// look-up.
func (ck *Checker) load(ctx context.Context, h userkeys.KeyHash) error {
	p := fingerprintOf(&h)
	s := ck.table.shard(&p)
	s.Lock()
	f, joined := s.lookUps[h]
	if !joined {
		f = &lookUp{hash: h, done: make(chan struct{})}
		s.lookUps[h] = f
	}
	s.Unlock()
	if !joined {
		// One request loads for all that wait: its own end must not end theirs.
		go ck.runLookUp(context.WithoutCancel(ctx), f)
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return Unavailable(ctx.Err())
	}
}

// runLookUp does a look-up, stores the result, and lets the requests that wait for it go on.
func (ck *Checker) runLookUp(ctx context.Context, f *lookUp) {
	ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	defer close(f.done)
	l, renewed, err := ck.read(ctx, f.hash)
	if err == nil && renewed == nil {
		wait, err := ck.table.insert(f, &l, ck.now())
		if err != nil {
			// The day counts as used up then. Somebody should know why the key is refused.
			ck.log.Warn("a saved day count is not readable", "key", l.keyID, "err", err)
		}
		if wait > 0 {
			f.err = keyLimitNames.exceeded(limit.NoRoom(wait), ck.policy.Load().limits)
		}
		return
	}
	p := fingerprintOf(&f.hash)
	s := ck.table.shard(&p)
	s.Lock()
	defer s.Unlock()
	switch valid := s.finish(f); {
	case err != nil && !errors.Is(err, userkeys.ErrInvalidKey):
		f.err = Unavailable(err)
	case !valid:
	case renewed != nil:
		s.addAlias(p, *renewed)
	default:
		s.unknown.Add(f.hash, ck.now())
		f.err = err
	}
}

// finish removes f from the look-ups under way, and reports whether its result may be stored.
func (s *shard) finish(f *lookUp) bool {
	if s.lookUps[f.hash] == f {
		delete(s.lookUps, f.hash)
	}
	return !f.canceled
}

// cancel prevents the result of a look-up under way from being stored.
func (s *shard) cancel(h userkeys.KeyHash) {
	if f, ok := s.lookUps[h]; ok {
		f.canceled = true
		delete(s.lookUps, h)
	}
}

// maxAliases bounds the aliases of a shard.
const maxAliases = 1 << 12

// addAlias stores what the hash with a fingerprint stands for. If there are too many aliases, it forgets the others.
func (s *shard) addAlias(p fingerprint, to alias) {
	if len(s.aliases) >= maxAliases {
		clear(s.aliases)
	}
	s.aliases[p] = to
}

// read reads the key with hash h from the database. If a key had that hash before it was renewed, read returns the
// hash that the key has now instead. It runs in a goroutine of its own, so it makes an error of a panic of the store.
func (ck *Checker) read(ctx context.Context, h userkeys.KeyHash) (l loaded, renewed *alias, err error) {
	defer jobs.Catch(&err)
	select {
	case ck.lookUps <- struct{}{}:
		defer func() { <-ck.lookUps }()
	case <-ctx.Done():
		return loaded{}, nil, ctx.Err()
	}
	p := ck.policy.Load()
	k, err := ck.store.KeyByHash(ctx, h)
	now := ck.now()
	switch {
	case errors.Is(err, userkeys.NotFound), err == nil && !k.Live(now):
		return loaded{}, nil, userkeys.ErrInvalidKey
	case err != nil:
		return loaded{}, nil, err
	case k.Hash != h && k.OldHash == h && now.Before(k.OldUntil):
		return loaded{}, &alias{k.Hash, k.OldUntil.UnixMicro()}, nil
	case k.Hash != h:
		return loaded{}, nil, userkeys.ErrInvalidKey
	}
	return ck.loaded(p, k), nil, nil
}

// loaded returns what the table stores of a key under a policy.
func (ck *Checker) loaded(p *policy, k site.StoredKey) loaded {
	r := record{fingerprint: fingerprintOf(&k.Hash), keyID: k.ID, userID: k.UserID}
	if k.Owner.MayAct() {
		r.state |= ownerMayAct
	}
	if !k.ExpiresAt.IsZero() {
		r.ends = k.ExpiresAt.UnixMicro()
	}
	pause := k.Owner.Pauses(ck.pauseAfter)
	if !pause.IsZero() && (r.ends == 0 || pause.UnixMicro() < r.ends) {
		r.ends = pause.UnixMicro()
		r.state |= ownerPauses
	}
	return loaded{
		r, k.Owner.Username, k.ClientID, k.Owner.ExternalID, p.standing(ck.catalog, k), k.OldHash, k.Day,
	}
}
