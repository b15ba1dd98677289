package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"userkeys"
)

const (
	deliveryColumns = `id, user_id, notification_id, key_id, push_url, host, created_at, queued_at, next_at, attempt, dead_at, problem`
	hostColumns     = `h.host, h.failures, h.closed_until, h.delivered_at, h.failed_at, h.problem, h.delivered, h.failed`
	pushColumns     = `COALESCE(p.delivered_at, 0), COALESCE(p.failed_at, 0), COALESCE(p.failing_since, 0), COALESCE(p.problem, ''), COALESCE(p.off_at, 0)`
)

func scanDelivery(r row) (userkeys.Delivery, error) {
	var d userkeys.Delivery
	var created, queued, next, dead int64
	var problem string
	err := r.Scan(&d.ID, &d.UserID, &d.NotificationID, &d.KeyID, &d.PushURL, &d.Host, &created, &queued, &next, &d.Attempt, &dead, &problem)
	d.CreatedAt, d.QueuedAt, d.NextAt, d.DeadAt = fromMicros(created), fromMicros(queued), fromMicros(next), fromMicros(dead)
	d.Problem = userkeys.PushProblem(problem)
	return d, err
}

// host scans hostColumns.
func (c *columns) host(h *userkeys.PushHost) {
	var closed, delivered, failed int64
	var problem string
	c.dest = append(c.dest, &h.Host, &h.Failures, &closed, &delivered, &failed, &problem, &h.Delivered, &h.Failed)
	c.done = append(c.done, func() {
		h.ClosedUntil, h.DeliveredAt, h.FailedAt = fromMicros(closed), fromMicros(delivered), fromMicros(failed)
		h.Problem = userkeys.PushProblem(problem)
	})
}

// push scans pushColumns.
func (c *columns) push(p *userkeys.KeyPush) {
	var delivered, failed, since, off int64
	var problem string
	c.dest = append(c.dest, &delivered, &failed, &since, &problem, &off)
	c.done = append(c.done, func() {
		p.DeliveredAt, p.FailedAt, p.FailingSince, p.OffAt = fromMicros(delivered), fromMicros(failed), fromMicros(since), fromMicros(off)
		p.Problem = userkeys.PushProblem(problem)
	})
}

func scanHost(r row) (userkeys.PushHost, error) {
	var h userkeys.PushHost
	var c columns
	c.host(&h)
	return h, c.scan(r)
}

func scanWaitingHost(r row) (userkeys.PushHost, error) {
	var h userkeys.PushHost
	var due int64
	var c columns
	c.host(&h)
	c.dest = append(c.dest, &due)
	err := c.scan(r)
	h.DueAt = fromMicros(due)
	return h, err
}

func scanPushedKey(r row) (userkeys.PushedKey, error) {
	var k userkeys.PushedKey
	var c columns
	c.key(&k.UserAPIKey)
	c.push(&k.Push)
	return k, c.scan(r)
}

// addressee is a user with what decides about pushes to them.
type addressee struct {
	userkeys.User
	quietUntil time.Time
}

func scanAddressee(r row) (addressee, error) {
	var a addressee
	var quiet int64
	var c columns
	c.user(&a.User)
	c.dest = append(c.dest, &quiet)
	err := c.scan(r)
	a.quietUntil = fromMicros(quiet)
	return a, err
}

// WaitingHosts lists the hosts that something waits for, with when the first
// of it is due. It looks at one line of each host's queue, however long that is.
func (s *Store) WaitingHosts(ctx context.Context) ([]userkeys.PushHost, error) {
	return read(ctx, s, func(ctx context.Context, c conn) ([]userkeys.PushHost, error) {
		hosts, err := all(ctx, c, scanWaitingHost, `SELECT `+hostColumns+`, COALESCE(
			(SELECT MIN(d.next_at) FROM userkeys_deliveries d WHERE d.host = h.host AND d.dead_at = 0), 0) FROM userkeys_push_hosts h`)
		return slices.DeleteFunc(hosts, func(h userkeys.PushHost) bool { return h.DueAt.IsZero() }), err
	})
}

// ClaimDeliveries takes up to n deliveries to a host that are due at a time. Nobody else gets
// them before until: if the one who took them is gone by then, somebody else takes them.
func (s *Store) ClaimDeliveries(ctx context.Context, host string, n int, at, until time.Time) ([]userkeys.Delivery, error) {
	var taken []userkeys.Delivery
	err := s.write(ctx, func(ctx context.Context, c conn) error {
		var err error
		taken, err = all(ctx, c, scanDelivery, `WITH due (delivery) AS MATERIALIZED (
				SELECT id FROM userkeys_deliveries WHERE host = $1 AND dead_at = 0 AND next_at <= $2 ORDER BY next_at, id LIMIT $3`+s.diff.takeRow+`)
			UPDATE userkeys_deliveries SET next_at = $4, attempt = attempt + 1 FROM due WHERE id = delivery RETURNING `+deliveryColumns,
			host, micros(at), n, micros(until))
		return err
	})
	return taken, err
}

// PushParcels reads everything that deliveries are made of, as it is now. Those of
// users that are gone are left out. The order is that of the deliveries.
func (s *Store) PushParcels(ctx context.Context, deliveries []userkeys.Delivery) ([]userkeys.PushParcel, error) {
	return read(ctx, s, func(ctx context.Context, c conn) ([]userkeys.PushParcel, error) {
		var parcels []userkeys.PushParcel
		err := inChunks(deliveries, idsPerStatement, func(chunk []userkeys.Delivery) error {
			some, err := parcels500(ctx, c, chunk)
			parcels = append(parcels, some...)
			return err
		})
		return parcels, err
	})
}

// parcels500 makes the parcels of at most idsPerStatement deliveries.
func parcels500(ctx context.Context, c conn, deliveries []userkeys.Delivery) ([]userkeys.PushParcel, error) {
	users, notes := map[int64]addressee{}, map[int64]userkeys.Notification{}
	keys := map[int64][]userkeys.PushedKey{} // by user
	var userIDs, noteIDs []int64
	for _, d := range deliveries {
		userIDs = append(userIDs, d.UserID)
		if d.NotificationID != 0 {
			noteIDs = append(noteIDs, d.NotificationID)
		}
	}
	found, err := byIDs(ctx, c, scanAddressee, `SELECT `+userColumns+`, COALESCE(i.quiet_until, 0)
		FROM userkeys_users u LEFT JOIN userkeys_inboxes i ON i.user_id = u.id WHERE u.id`, userIDs)
	if err != nil {
		return nil, err
	}
	for _, a := range found {
		users[a.ID] = a
	}
	told, err := byIDs(ctx, c, scanNotification, "SELECT "+notificationColumns+" FROM userkeys_notifications WHERE id", noteIDs)
	if err != nil {
		return nil, err
	}
	for _, n := range told {
		notes[n.ID] = n
	}
	pushed, err := byIDs(ctx, c, scanPushedKey, "SELECT "+keyColumns+", "+pushColumns+keyTables+
		" LEFT JOIN userkeys_key_pushes p ON p.key_id = k.id WHERE k.push_url <> '' AND k.user_id", userIDs)
	if err != nil {
		return nil, err
	}
	for _, k := range pushed {
		keys[k.UserID] = append(keys[k.UserID], k)
	}
	var parcels []userkeys.PushParcel
	for _, d := range deliveries {
		a, ok := users[d.UserID]
		if !ok {
			continue
		}
		p := userkeys.PushParcel{Delivery: d, User: a.User, QuietUntil: a.quietUntil}
		if n := notes[d.NotificationID]; n.UserID == d.UserID {
			p.Notification = n
		}
		for _, k := range keys[d.UserID] {
			if k.PushURL == d.PushURL && (d.KeyID == 0 || d.KeyID == k.ID) {
				p.Keys = append(p.Keys, k)
			}
		}
		slices.SortFunc(p.Keys, func(a, b userkeys.PushedKey) int { return cmp.Compare(a.ClientID, b.ClientID) })
		parcels = append(parcels, p)
	}
	return parcels, nil
}

// byIDs runs a query that ends before the list of ids, each once; none: no query.
func byIDs[T any](ctx context.Context, c conn, scan func(row) (T, error), query string, ids []int64) ([]T, error) {
	ids = unique(ids)
	if len(ids) == 0 {
		return nil, nil
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	return all(ctx, c, scan, query+" IN ("+list(1, len(ids))+")", args...)
}

// FinishDeliveries writes what became of attempts, in one transaction, with
// the state of their hosts and keys. An attempt that is not the delivery's last
// any more (its time was over, and somebody else took it) changes nothing of the delivery.
func (s *Store) FinishDeliveries(ctx context.Context, results []userkeys.PushResult) error {
	return s.write(ctx, func(ctx context.Context, c conn) error {
		results := slices.SortedFunc(slices.Values(results), func(a, b userkeys.PushResult) int { return cmp.Compare(a.ID, b.ID) })
		if err := removeDeliveries(ctx, c, results); err != nil {
			return err
		}
		for _, r := range results {
			if err := settleDelivery(ctx, c, r); err != nil {
				return err
			}
		}
		if err := settleKeys(ctx, c, results); err != nil {
			return err
		}
		return s.settleHosts(ctx, c, results)
	})
}

// removeDeliveries forgets those that are done.
func removeDeliveries(ctx context.Context, c conn, results []userkeys.PushResult) error {
	var done []any
	for _, r := range results {
		if r.Outcome == userkeys.PushDelivered || r.Outcome == userkeys.PushDropped {
			done = append(done, r.ID, r.Attempt)
		}
	}
	return inChunks(done, 2*deliveriesPerStatement, func(chunk []any) error {
		values := strings.Replace(placeholders(1, len(chunk)/2, 2), "($1,$2)", "(CAST($1 AS BIGINT),CAST($2 AS BIGINT))", 1)
		_, err := c.exec(ctx, "DELETE FROM userkeys_deliveries WHERE (id, attempt) IN (VALUES "+values+")", chunk...)
		return err
	})
}

// settleDelivery writes when an attempt is repeated, or that it was the last.
func settleDelivery(ctx context.Context, c conn, r userkeys.PushResult) error {
	var err error
	switch {
	case r.Outcome == userkeys.PushRetried && r.Unmade:
		_, err = c.exec(ctx, `UPDATE userkeys_deliveries SET next_at = $3, queued_at = $3, attempt = attempt - 1
			WHERE id = $1 AND attempt = $2 AND dead_at = 0`, r.ID, r.Attempt, micros(r.NextAt))
	case r.Outcome == userkeys.PushRetried:
		_, err = c.exec(ctx, "UPDATE userkeys_deliveries SET next_at = $3, problem = $4 WHERE id = $1 AND attempt = $2 AND dead_at = 0",
			r.ID, r.Attempt, micros(r.NextAt), string(r.Problem))
	case r.Outcome == userkeys.PushDied:
		_, err = c.exec(ctx, "UPDATE userkeys_deliveries SET dead_at = $3, problem = $4 WHERE id = $1 AND attempt = $2 AND dead_at = 0",
			r.ID, r.Attempt, micros(r.At), string(r.Problem))
	}
	return err
}

// keysPerStatement bounds an upsert of the keys' state.
const keysPerStatement = 200

// settleKeys writes how pushing to the keys goes: those that were reached, then those that were not.
func settleKeys(ctx context.Context, c conn, results []userkeys.PushResult) error {
	var reached []int64
	var at time.Time // one for all: they are moments apart
	failed := map[int64]userkeys.PushResult{}
	for _, r := range results {
		for _, id := range r.KeyIDs {
			switch {
			case r.Unmade && !r.Off:
			case r.Outcome == userkeys.PushDelivered:
				reached, at = append(reached, id), later(at, r.At)
			default:
				before := failed[id]
				off := r.Off || before.Off
				if before.At.After(r.At) {
					r = before
				}
				r.Off = off
				failed[id] = r
			}
		}
	}
	if err := keysReached(ctx, c, unique(reached), at); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(failed)) {
		if err := keyFailed(ctx, c, id, failed[id]); err != nil {
			return err
		}
	}
	return nil
}

func keysReached(ctx context.Context, c conn, ids []int64, at time.Time) error {
	return inChunks(ids, keysPerStatement, func(chunk []int64) error {
		args := []any{micros(at)}
		for _, id := range chunk {
			args = append(args, id)
		}
		_, err := c.exec(ctx, `INSERT INTO userkeys_key_pushes (key_id, delivered_at, failed_at, failing_since, problem, off_at)
			SELECT k.id, $1, 0, 0, '', 0 FROM userkeys_keys k WHERE k.id IN (`+list(2, len(chunk))+`) ORDER BY k.id
			ON CONFLICT (key_id) DO UPDATE SET delivered_at = excluded.delivered_at, failing_since = 0, problem = ''`, args...)
		return err
	})
}

func keyFailed(ctx context.Context, c conn, id int64, r userkeys.PushResult) error {
	off := int64(0)
	if r.Off {
		off = micros(r.At)
	}
	_, err := c.exec(ctx, `INSERT INTO userkeys_key_pushes (key_id, delivered_at, failed_at, failing_since, problem, off_at)
		SELECT k.id, 0, $1, $1, $2, $3 FROM userkeys_keys k WHERE k.id = $4
		ON CONFLICT (key_id) DO UPDATE SET failed_at = excluded.failed_at, problem = excluded.problem,
			failing_since = CASE WHEN userkeys_key_pushes.failing_since = 0 THEN excluded.failing_since ELSE userkeys_key_pushes.failing_since END,
			off_at = CASE WHEN userkeys_key_pushes.off_at = 0 THEN excluded.off_at ELSE userkeys_key_pushes.off_at END`,
		micros(r.At), string(r.Problem), off, id)
	return err
}

// settleHosts counts what was made of each host's deliveries and closes those that fail.
func (s *Store) settleHosts(ctx context.Context, c conn, results []userkeys.PushResult) error {
	byHost := map[string][]userkeys.PushResult{}
	var names []string
	for _, r := range results {
		if r.Unmade {
			continue
		}
		if byHost[r.Host] == nil {
			names = append(names, r.Host)
		}
		byHost[r.Host] = append(byHost[r.Host], r)
	}
	slices.Sort(names)
	for _, name := range names {
		h, err := one(ctx, c, scanHost, "SELECT "+hostColumns+" FROM userkeys_push_hosts h WHERE h.host = $1"+s.diff.lockRow, name)
		if isNoRows(err) {
			continue
		}
		if err != nil {
			return err
		}
		slices.SortStableFunc(byHost[name], func(a, b userkeys.PushResult) int { return a.At.Compare(b.At) })
		for _, r := range byHost[name] {
			h.Note(r)
		}
		if _, err := c.exec(ctx, `UPDATE userkeys_push_hosts SET failures = $2, closed_until = $3, delivered_at = $4, failed_at = $5, problem = $6,
			delivered = $7, failed = $8 WHERE host = $1`, name, h.Failures, micros(h.ClosedUntil), micros(h.DeliveredAt), micros(h.FailedAt),
			string(h.Problem), h.Delivered, h.Failed); err != nil {
			return err
		}
	}
	return nil
}

// GiveUpOverdue gives up what could not be delivered since queuedBefore, also where
// nothing could be tried, and switches pushing off for its keys unless
// something reached them since. It returns how many; call it again until that is none.
func (s *Store) GiveUpOverdue(ctx context.Context, queuedBefore, at time.Time) (int, error) {
	var dead []userkeys.Delivery
	err := s.write(ctx, func(ctx context.Context, c conn) error {
		var err error
		// next_at: what somebody is sending at the moment is theirs to end.
		dead, err = all(ctx, c, scanDelivery, `WITH late (delivery) AS MATERIALIZED (
				SELECT id FROM userkeys_deliveries WHERE dead_at = 0 AND queued_at < $1 AND next_at <= $2 ORDER BY queued_at LIMIT $3`+s.diff.takeRow+`)
			UPDATE userkeys_deliveries SET dead_at = $2, problem = CASE WHEN problem = '' THEN $4 ELSE problem END
			FROM late WHERE id = delivery RETURNING `+deliveryColumns, micros(queuedBefore), micros(at), jobBatch, string(userkeys.PushOverdue))
		if err != nil {
			return err
		}
		slices.SortFunc(dead, func(a, b userkeys.Delivery) int {
			return cmp.Or(cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.PushURL, b.PushURL), cmp.Compare(a.KeyID, b.KeyID), cmp.Compare(a.ID, b.ID))
		})
		for i, d := range dead {
			if i > 0 && d.UserID == dead[i-1].UserID && d.PushURL == dead[i-1].PushURL && d.KeyID == dead[i-1].KeyID {
				continue
			}
			if _, err := c.exec(ctx, `INSERT INTO userkeys_key_pushes (key_id, delivered_at, failed_at, failing_since, problem, off_at)
				SELECT k.id, 0, $1, $1, $2, $1 FROM userkeys_keys k WHERE k.user_id = $3 AND k.push_url = $4 AND (k.id = $5 OR $5 = 0) ORDER BY k.id
				ON CONFLICT (key_id) DO UPDATE SET off_at = CASE
					WHEN userkeys_key_pushes.off_at = 0 AND userkeys_key_pushes.delivered_at < $6 THEN excluded.off_at ELSE userkeys_key_pushes.off_at END,
					problem = CASE WHEN userkeys_key_pushes.problem = '' THEN excluded.problem ELSE userkeys_key_pushes.problem END`,
				micros(at), string(d.Problem), d.UserID, d.PushURL, d.KeyID, micros(d.QueuedAt)); err != nil {
				return err
			}
		}
		return nil
	})
	return len(dead), err
}
