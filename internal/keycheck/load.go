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

// Bounds of look-ups: invented keys with a right checksum must not drown the database.
const (
	maxLoads    = 64
	loadTimeout = 1500 * time.Millisecond
)

// flight is one look-up in the database, which any number of requests wait for.
type flight struct {
	hash userkeys.KeyHash
	// canceled means that the key may have changed since the look-up began, so that what it found is not kept.
	canceled bool // under the lock of the shard
	done     chan struct{}
	err      error // ErrInvalidKey, RateLimited or Unavailable; nil: look in the table again
}

// found is a live key in the table. Its shard is locked.
type found struct {
	*shard
	*account
	number uint32
	hash   userkeys.KeyHash // of the key that was shown
	at     limit.Moment
	ends   int64 // unix microseconds, of the key before a renewal; 0: with the record
}

// mostLooks is how often a key is looked for that is forgotten as soon as it was loaded.
const mostLooks = 8

// find finds a live key: in memory while the lease is fresh, otherwise after it has read the epoch. The caller unlocks
// the shard.
//
// Errors: [userkeys.ErrInvalidKey] for a key that is not good, [userkeys.RateLimited] if there is no room for it,
// [userkeys.Unavailable] if that cannot be decided now.
func (ck *Checker) find(ctx context.Context, h *userkeys.KeyHash, now time.Time) (found, error) {
	if !ck.lease.fresh(now) {
		if err := ck.Ready(ctx); err != nil {
			return found{}, err
		}
	}
	hash, ends := *h, int64(0)
	for range mostLooks {
		p := placeOf(&hash)
		s := ck.table.shard(&p)
		s.Lock()
		at := s.Begin(now)
		if a, number := s.find(&p); a != nil && a.Data.is(fresh) {
			if a.Data.expired(now) || over(ends, now) {
				s.Unlock()
				return found{}, userkeys.ErrInvalidKey
			}
			return found{s, a, number, *h, at, ends}, nil
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
			return found{}, userkeys.ErrInvalidKey
		default:
			err := ck.load(ctx, hash)
			if err != nil && (hash == *h || !errors.Is(err, userkeys.ErrInvalidKey)) { // else see what h stands for now
				return found{}, err
			}
			now = ck.now()
		}
	}
	return found{}, Unavailable(errors.New("the key was forgotten again and again"))
}

// load looks h up in the database, once for all requests that ask at the same time.
func (ck *Checker) load(ctx context.Context, h userkeys.KeyHash) error {
	p := placeOf(&h)
	s := ck.table.shard(&p)
	s.Lock()
	f, joined := s.flights[h]
	if !joined {
		f = &flight{hash: h, done: make(chan struct{})}
		s.flights[h] = f
	}
	s.Unlock()
	if !joined {
		// One request loads for all that wait: its own end must not end theirs.
		go ck.fly(context.WithoutCancel(ctx), f)
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return Unavailable(ctx.Err())
	}
}

// fly does the look-up of f, and stores the result.
func (ck *Checker) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	defer close(f.done)
	l, renewed, err := ck.read(ctx, f.hash)
	if err == nil && renewed == nil {
		wait, err := ck.table.keep(f, &l, ck.now())
		if err != nil {
			// Garbage counts as a day used up: the safe side, but somebody should know.
			ck.log.Warn("a saved day count is not readable", "key", l.keyID, "err", err)
		}
		if wait > 0 {
			f.err = keyWindows.exceeded(limit.NoRoom(wait), ck.policy.Load().limits)
		}
		return
	}
	p := placeOf(&f.hash)
	s := ck.table.shard(&p)
	s.Lock()
	defer s.Unlock()
	switch landed := s.landed(f); {
	case err != nil && !errors.Is(err, userkeys.ErrInvalidKey):
		f.err = Unavailable(err)
	case !landed: // what was found may no longer be so
	case renewed != nil:
		s.rename(p, *renewed)
	default:
		s.unknown.Add(f.hash, ck.now())
		f.err = err
	}
}

// landed takes f off the look-ups under way, and reports whether its result may be kept.
func (s *shard) landed(f *flight) bool {
	if s.flights[f.hash] == f {
		delete(s.flights, f.hash)
	}
	return !f.canceled
}

// cancel prevents the result of a look-up under way from being kept.
func (s *shard) cancel(h userkeys.KeyHash) {
	if f, ok := s.flights[h]; ok {
		f.canceled = true
		delete(s.flights, h)
	}
}

// mostAliases bounds the aliases of a shard. Above that all are forgotten.
const mostAliases = 1 << 12

func (s *shard) rename(p place, to alias) {
	if len(s.aliases) >= mostAliases {
		clear(s.aliases)
	}
	s.aliases[p] = to
}

// read reads the key with hash h from the database. If that is the hash which a key had before it was renewed, it
// returns the hash that the key has now. A panic of the store is an error: this runs in no handler.
func (ck *Checker) read(ctx context.Context, h userkeys.KeyHash) (l loaded, renewed *alias, err error) {
	defer jobs.Catch(&err)
	select {
	case ck.loads <- struct{}{}:
		defer func() { <-ck.loads }()
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
	case k.Hash != h && k.OldHash == h && now.Before(k.OldUntil): // it has an end of its own
		return loaded{}, &alias{k.Hash, k.OldUntil.UnixMicro()}, nil
	case k.Hash != h:
		return loaded{}, nil, userkeys.ErrInvalidKey
	}
	return ck.loaded(p, k), nil, nil
}

func (ck *Checker) loaded(p *policy, k site.StoredKey) loaded {
	r := record{place: placeOf(&k.Hash), keyID: k.ID, userID: k.UserID}
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
