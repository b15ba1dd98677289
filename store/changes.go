package store

import (
	"context"
	"time"

	"userkeys"
)

const (
	// maxChanges is how many changes a cache is told one by one.
	maxChanges = 10_000
	// maxHashesPerChange is from when on a change is told as "everything".
	maxHashesPerChange  = 1000
	changesPerStatement = 250
)

// raise raises the epoch and names the keys whose standing changed, in the
// transaction of the change itself. Without keys nothing can be in a cache and
// the epoch stays. The epoch's row stays locked until the commit, so the order
// of epochs is the order of commits and a reader never skips one: call it late.
func raise(ctx context.Context, c conn, at time.Time, keys []userkeys.KeyHash) error {
	switch {
	case len(keys) == 0:
		return nil
	case len(keys) > maxHashesPerChange:
		return raiseAll(ctx, c, at)
	}
	n, err := nextEpoch(ctx, c)
	if err != nil {
		return err
	}
	return inChunks(keys, changesPerStatement, func(chunk []userkeys.KeyHash) error {
		args := make([]any, 0, 3*len(chunk))
		for _, h := range chunk {
			args = append(args, n, h[:], micros(at))
		}
		_, err := c.exec(ctx, "INSERT INTO userkeys_changes (n, key_hash, at) VALUES "+placeholders(1, len(chunk), 3), args...)
		return err
	})
}

// raiseAll raises the epoch and says that anything may have changed.
func raiseAll(ctx context.Context, c conn, at time.Time) error {
	n, err := nextEpoch(ctx, c)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, "INSERT INTO userkeys_changes (n, key_hash, at) VALUES ($1, $2, $3)", n, []byte{}, micros(at))
	return err
}

func nextEpoch(ctx context.Context, c conn) (int64, error) {
	return one(ctx, c, scanInt, "UPDATE userkeys_epoch SET n = n + 1 RETURNING n")
}

// change is the epoch with one of the changes after the one asked for.
type change struct {
	epoch int64
	n     *int64 // nil: there is none
	hash  []byte
}

func scanChange(r row) (change, error) {
	var c change
	err := r.Scan(&c.epoch, &c.n, &c.hash)
	return c, err
}

// Changes tells what happened since an epoch; since < 0 asks for the epoch only.
// All is set when that cannot be told key by key: since is 0, or not an epoch
// of this database, or too long ago, or too much happened.
func (s *Store) Changes(ctx context.Context, since int64) (userkeys.Changes, error) {
	if err := s.file.check(); err != nil {
		return userkeys.Changes{}, fail(err)
	}
	return read(ctx, s, func(ctx context.Context, c conn) (userkeys.Changes, error) {
		if since <= 0 {
			n, err := one(ctx, c, scanInt, "SELECT n FROM userkeys_epoch")
			return userkeys.Changes{Epoch: n, All: since == 0}, err
		}
		// One statement: the epoch and the changes are of one moment.
		found, err := all(ctx, c, scanChange, `SELECT e.n, c.n, c.key_hash FROM userkeys_epoch e
			LEFT JOIN userkeys_changes c ON c.n > $1 ORDER BY c.n LIMIT $2`, since, maxChanges+1)
		if err != nil {
			return userkeys.Changes{}, err
		}
		return changesOf(since, found)
	})
}

func changesOf(since int64, found []change) (userkeys.Changes, error) {
	if len(found) == 0 {
		return userkeys.Changes{}, schemaError("the schema is half-run: there is no epoch; restore a backup")
	}
	out := userkeys.Changes{Epoch: found[0].epoch}
	if out.Epoch == since {
		return out, nil
	}
	// An epoch that went back is an older copy of the database; a first change
	// that is not the next one means that some were purged.
	if out.Epoch < since || len(found) > maxChanges || found[0].n == nil || *found[0].n != since+1 {
		out.All = true
		return out, nil
	}
	for _, c := range found {
		if len(c.hash) == 0 {
			return userkeys.Changes{Epoch: out.Epoch, All: true}, nil
		}
		out.Hashes = append(out.Hashes, keyHash(c.hash))
	}
	return out, nil
}
