package store

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"userkeys"
	"userkeys/site"
)

const (
	// maxChanges is how many changes a cache is told one by one.
	maxChanges = 10_000
	// maxHashesPerChange is from when on a change is told as "everything".
	maxHashesPerChange  = 1000
	changesPerStatement = 250
)

// raise raises the epoch and stores which keys have changed, in the transaction of the change. Without keys no cache
// can be wrong, and the epoch stays. The row of the epoch stays locked until the commit, so that the order of epochs
// is the order of commits and no reader skips one. Therefore call raise last.
func raise(c conn, at time.Time, keys []userkeys.KeyHash) error {
	switch {
	case len(keys) == 0:
		return nil
	case len(keys) > maxHashesPerChange:
		return raiseAll(c, at)
	}
	c.raised.Hashes = append(c.raised.Hashes, keys...)
	return writeChange(c, at, keys)
}

// raiseAll raises the epoch and stores that any key may have changed.
func raiseAll(c conn, at time.Time) error {
	c.raised.All = true
	return writeChange(c, at, []userkeys.KeyHash{everything})
}

// everything stands for all keys in a change. It is stored as an empty hash.
var everything userkeys.KeyHash

func writeChange(c conn, at time.Time, keys []userkeys.KeyHash) error {
	token := rand.Int64()
	n, err := one(c, scanInt, "UPDATE userkeys_epoch SET n = n + 1, token = $1 RETURNING n", token)
	if err != nil {
		return err
	}
	return inChunks(keys, changesPerStatement, func(chunk []userkeys.KeyHash) error {
		args := make([]any, 0, 4*len(chunk))
		for _, h := range chunk {
			hash := h[:]
			if h == everything {
				hash = []byte{}
			}
			args = append(args, n, token, hash, micros(at))
		}
		_, err := c.exec("INSERT INTO userkeys_changes (n, token, key_hash, at) VALUES "+placeholders(1, len(chunk), 4),
			args...)
		return err
	})
}

// OnChange registers f, which is called with each change that this store writes, after its commit and before the
// method that wrote it returns. So what this process changes takes effect in it at once. Only All and Hashes are set.
// f must be quick and must not use the store, and it may be called for a change whose commit failed. Changes of other
// processes are found by [Store.Changes] only.
func (s *Store) OnChange(f func(site.Changes)) {
	s.watchersMu.Lock()
	defer s.watchersMu.Unlock()
	s.watchers = append(s.watchers, f)
}

func (s *Store) tell(c site.Changes) {
	if !c.All && len(c.Hashes) == 0 {
		return
	}
	s.watchersMu.Lock()
	watchers := slices.Clone(s.watchers)
	s.watchersMu.Unlock()
	for _, f := range watchers {
		f(c)
	}
}

// change is the newest change, with one of the changes after a mark.
type change struct {
	newest  site.Mark
	standby bool
	known   bool // the mark asked for is one of this history
	n       *int64
	hash    []byte
}

func scanChange(r row) (change, error) {
	var c change
	err := r.Scan(&c.newest.N, &c.newest.Token, &c.standby, &c.known, &c.n, &c.hash)
	return c, err
}

// Changes returns what has changed since a mark. For a mark with a negative number it returns the newest mark only.
// All is set if the changes cannot be listed by key: since is the zero Mark, is not of the history of this database,
// or is too old, or there are too many changes.
//
// Errors: [userkeys.Unavailable] on a standby, which may lack changes that were acknowledged.
func (s *Store) Changes(ctx context.Context, since site.Mark) (site.Changes, error) {
	if err := s.file.check(); err != nil {
		return site.Changes{}, fail(err)
	}
	after := since.N
	if after <= 0 {
		after = math.MaxInt64
	}
	return read(ctx, s, func(c conn) (site.Changes, error) {
		// One statement: the mark and the changes are of one moment.
		found, err := all(c, scanChange, `SELECT e.n, e.token, `+s.diff.standby+`,
				EXISTS (SELECT 1 FROM userkeys_changes m WHERE m.n = $1 AND m.token = $2), c.n, c.key_hash
			FROM userkeys_epoch e LEFT JOIN userkeys_changes c ON c.n > $1 ORDER BY c.n
				LIMIT $3`, after, since.Token, maxChanges+1)
		if err != nil {
			return site.Changes{}, err
		}
		return changesOf(since, found)
	})
}

func changesOf(since site.Mark, found []change) (site.Changes, error) {
	switch {
	case len(found) == 0:
		return site.Changes{}, schemaError("the schema is half-run: there is no epoch; restore a backup")
	case found[0].standby:
		return site.Changes{}, userkeys.Errorf(userkeys.Unavailable, onStandby)
	}
	first := found[0]
	out := site.Changes{Mark: first.newest}
	if since.N < 0 || since == out.Mark {
		return out, nil
	}
	// Another history, whether it is longer or shorter; or some were purged; or too many.
	if !first.known || first.n == nil || *first.n != since.N+1 || len(found) > maxChanges {
		out.All = true
		return out, nil
	}
	for _, c := range found {
		if len(c.hash) == 0 {
			return site.Changes{Mark: out.Mark, All: true}, nil
		}
		out.Hashes = append(out.Hashes, keyHash(c.hash))
	}
	return out, nil
}
