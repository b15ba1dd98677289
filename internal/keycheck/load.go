package keycheck

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"userkeys"
	"userkeys/site"
)

// Bounds of look-ups: invented keys with a right checksum must not drown the database.
const (
	maxLoads    = 64
	loadTimeout = 1500 * time.Millisecond
)

// flight is one look-up in the database, which any number of requests wait for.
type flight struct {
	hash       userkeys.KeyHash
	generation uint64 // of its shard when it began
	done       chan struct{}
	rec        record
	err        error // ErrInvalidKey, or Unavailable
}

// find returns the record of a live key: from memory while the lease is fresh, otherwise after it has read the epoch.
//
// Errors: [userkeys.ErrInvalidKey] for a key that is not good, [userkeys.Unavailable] if that cannot be decided now.
func (ck *Checker) find(ctx context.Context, h *userkeys.KeyHash, now time.Time) (record, uint32, error) {
	if !ck.lease.fresh(now) {
		if err := ck.Ready(ctx); err != nil {
			return record{}, 0, err
		}
	}
	rec, place, found := ck.cache.get(h, now)
	switch found {
	case refused:
		return record{}, 0, userkeys.ErrInvalidKey
	case absent:
		var err error
		if rec, err = ck.load(ctx, *h); err != nil {
			return record{}, 0, err
		}
	}
	if rec.expired(now) {
		return record{}, 0, userkeys.ErrInvalidKey
	}
	return rec, place, nil
}

// load looks h up in the database, once for all requests that ask at the same time.
func (ck *Checker) load(ctx context.Context, h userkeys.KeyHash) (record, error) {
	s := ck.cache.shard(&h)
	s.mu.Lock()
	f, joined := s.flights[h]
	if !joined {
		f = &flight{hash: h, generation: s.generation, done: make(chan struct{})}
		s.flights[h] = f
	}
	s.mu.Unlock()
	if !joined {
		// One request loads for all that wait: its own end must not end theirs.
		go ck.fly(context.WithoutCancel(ctx), s, f)
	}
	select {
	case <-f.done:
		return f.rec, f.err
	case <-ctx.Done():
		return record{}, Unavailable(ctx.Err())
	}
}

// fly does the look-up of f, and stores the result in s.
func (ck *Checker) fly(ctx context.Context, s *shard, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	f.rec, f.err = ck.read(ctx, f.hash)
	s.mu.Lock()
	if s.flights[f.hash] == f {
		delete(s.flights, f.hash)
	}
	if s.generation == f.generation { // nothing was forgotten since the look-up began
		switch {
		case f.err == nil:
			s.keep(f.rec)
		case errors.Is(f.err, userkeys.InvalidAccess):
			s.refuse(f.hash, ck.now())
		}
	}
	s.mu.Unlock()
	close(f.done)
}

// read reads the key with hash h from the database. If the store panics, the requests that wait fail, as a handler
// would.
func (ck *Checker) read(ctx context.Context, h userkeys.KeyHash) (rec record, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = Unavailable(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
	}()
	select {
	case ck.loads <- struct{}{}:
		defer func() { <-ck.loads }()
	case <-ctx.Done():
		return record{}, Unavailable(ctx.Err())
	}
	p := ck.policy.Load()
	k, err := ck.store.KeyByHash(ctx, h)
	now := ck.now()
	switch {
	case errors.Is(err, userkeys.NotFound):
		return record{}, userkeys.ErrInvalidKey
	case err != nil:
		return record{}, Unavailable(err)
	case !k.Live(now):
		return record{}, userkeys.ErrInvalidKey
	case k.Hash != h && k.OldHash == h && now.Before(k.OldUntil): // the key before a renewal has an end of its own
		k.Hash = h
		if k.ExpiresAt.IsZero() || k.OldUntil.Before(k.ExpiresAt) {
			k.ExpiresAt = k.OldUntil
		}
	case k.Hash != h:
		return record{}, userkeys.ErrInvalidKey
	}
	if !ck.limiter.Known(k.ID) {
		// Garbage counts as a day used up: the safe side, but somebody should know.
		if err := ck.limiter.Restore(k.ID, k.Day, now); err != nil {
			ck.log.Warn("a saved day count is not readable", "key", k.ID, "err", err)
		}
	}
	return ck.record(p, k), nil
}

func (ck *Checker) record(p *policy, k site.StoredKey) record {
	r := record{
		hash: k.Hash, keyID: k.ID, userID: k.UserID, text: k.Owner.Username + k.ClientID + k.Owner.ExternalID,
		nameLen: uint16(len(k.Owner.Username)), idLen: uint16(len(k.ClientID)), standing: p.standing(ck.catalog, k),
	}
	if k.Owner.MayAct() {
		r.owner |= ownerMayAct
	}
	if !k.ExpiresAt.IsZero() {
		r.ends = k.ExpiresAt.UnixMicro()
	}
	pause := k.Owner.Pauses(ck.pauseAfter)
	if !pause.IsZero() && (r.ends == 0 || pause.UnixMicro() < r.ends) {
		r.ends = pause.UnixMicro()
		r.owner |= ownerPauses
	}
	return r
}
