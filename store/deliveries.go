package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"userkeys/outbox"
	"userkeys/site"
)

const (
	deliveryColumns = `id, user_id, notification_id, key_id, push_url, host, created_at, queued_at, next_at,
		claim, attempt, dead_at, problem`
	receiverColumns = `a.push_url, a.host, a.failures, a.closed_until, a.delivered_at, a.failed_at, a.problem,
		a.delivered, a.failed`
	reachColumns = `h.failures, h.closed_until`
	pushColumns  = `COALESCE(p.delivered_at, 0), COALESCE(p.failed_at, 0), COALESCE(p.failing_since, 0),
		COALESCE(p.problem, ''), COALESCE(p.off_at, 0)`
)

func scanDelivery(r row) (outbox.Delivery, error) {
	var d outbox.Delivery
	var created, queued, next, dead int64
	var problem string
	err := r.Scan(&d.ID, &d.UserID, &d.NotificationID, &d.KeyID, &d.PushURL, &d.Host, &created, &queued, &next,
		&d.Claim, &d.Attempt, &dead, &problem)
	d.CreatedAt, d.QueuedAt = fromMicros(created), fromMicros(queued)
	d.NextAt, d.DeadAt = fromMicros(next), fromMicros(dead)
	d.Problem = outbox.Problem(problem)
	return d, err
}

// receiver scans receiverColumns.
func (c *columns) receiver(a *outbox.Address) {
	var closed, delivered, failed int64
	var problem string
	c.dest = append(c.dest, &a.PushURL, &a.Host, &a.Failures, &closed, &delivered, &failed, &problem,
		&a.Delivered, &a.Failed)
	c.done = append(c.done, func() {
		a.ClosedUntil, a.DeliveredAt, a.FailedAt = fromMicros(closed), fromMicros(delivered), fromMicros(failed)
		a.Problem = outbox.Problem(problem)
	})
}

// reach scans reachColumns.
func (c *columns) reach(h *outbox.Reach) {
	var closed int64
	c.dest = append(c.dest, &h.Failures, &closed)
	c.done = append(c.done, func() { h.ClosedUntil = fromMicros(closed) })
}

// push scans pushColumns.
func (c *columns) push(p *outbox.KeyState) {
	var delivered, failed, since, off int64
	var problem string
	c.dest = append(c.dest, &delivered, &failed, &since, &problem, &off)
	c.done = append(c.done, func() {
		p.DeliveredAt, p.FailedAt = fromMicros(delivered), fromMicros(failed)
		p.FailingSince, p.OffAt = fromMicros(since), fromMicros(off)
		p.Problem = outbox.Problem(problem)
	})
}

func scanReceiver(r row) (outbox.Address, error) {
	var a outbox.Address
	var c columns
	c.receiver(&a)
	return a, c.scan(r)
}

func scanReach(r row) (outbox.Reach, error) {
	var h outbox.Reach
	var c columns
	c.reach(&h)
	return h, c.scan(r)
}

func scanWaitingReceiver(r row) (outbox.Address, error) {
	var a outbox.Address
	var due int64
	var c columns
	c.receiver(&a)
	c.reach(&a.Reach)
	c.dest = append(c.dest, &due)
	err := c.scan(r)
	a.DueAt = fromMicros(due)
	return a, err
}

func scanPushedKey(r row) (outbox.Key, error) {
	var k outbox.Key
	var c columns
	c.key(&k.UserAPIKey)
	c.push(&k.Push)
	return k, c.scan(r)
}

// addressee is a user with what decides about pushes to that user.
type addressee struct {
	site.User
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

// WaitingAddresses lists the push URLs that deliveries wait for, with when the first of them is due. It reads one row
// of the queue of each, however long that is.
func (s *Store) WaitingAddresses(ctx context.Context) ([]outbox.Address, error) {
	return read(ctx, s, func(c conn) ([]outbox.Address, error) {
		found, err := all(c, scanWaitingReceiver, `SELECT `+receiverColumns+`, `+reachColumns+`, COALESCE(
			(SELECT MIN(d.next_at) FROM userkeys_deliveries d WHERE d.push_url = a.push_url AND d.dead_at = 0), 0)
			FROM userkeys_push_receivers a JOIN userkeys_push_hosts h ON h.host = a.host`)
		return slices.DeleteFunc(found, func(a outbox.Address) bool { return a.DueAt.IsZero() }), err
	})
}

// ClaimDeliveries claims deliveries to a push URL that are due: first those that were never tried, so that one that
// fails again and again does not delay the others. Until the claim ends no other node gets them; after that, another
// node may claim those that were not finished.
func (s *Store) ClaimDeliveries(ctx context.Context, pushURL string, cl outbox.Claim) ([]outbox.Delivery, error) {
	claim := func(c conn, which string, n int) ([]outbox.Delivery, error) {
		return all(c, scanDelivery, `WITH due (delivery) AS MATERIALIZED (
				SELECT id FROM userkeys_deliveries WHERE push_url = $1 AND dead_at = 0 AND next_at <= $2`+which+`
				ORDER BY next_at, id LIMIT $3`+s.diff.takeRow+`)
			UPDATE userkeys_deliveries SET next_at = $4, claim = claim + 1 FROM due WHERE id = delivery
			RETURNING `+deliveryColumns, pushURL, micros(cl.At), n, micros(cl.Until))
	}
	var taken []outbox.Delivery
	err := s.write(ctx, func(c conn) error {
		var err error
		if taken, err = claim(c, " AND attempt = 0", cl.Most); err != nil || len(taken) == cl.Most {
			return err
		}
		more, err := claim(c, "", cl.Most-len(taken))
		taken = append(taken, more...)
		return err
	})
	return taken, err
}

// DeliveryDetails reads what decides about deliveries, as it is now, in the order of the deliveries. Deliveries of
// deleted users are left out.
func (s *Store) DeliveryDetails(ctx context.Context, deliveries []outbox.Delivery) ([]outbox.Details, error) {
	return read(ctx, s, func(c conn) ([]outbox.Details, error) {
		var details []outbox.Details
		err := inChunks(deliveries, idsPerStatement, func(batch []outbox.Delivery) error {
			some, err := detailsOfBatch(c, batch)
			details = append(details, some...)
			return err
		})
		return details, err
	})
}

// detailsOfBatch reads the details of at most idsPerStatement deliveries.
func detailsOfBatch(c conn, batch []outbox.Delivery) ([]outbox.Details, error) {
	var userIDs, noteIDs []int64
	for _, d := range batch {
		userIDs = append(userIDs, d.UserID)
		if d.NotificationID != 0 {
			noteIDs = append(noteIDs, d.NotificationID)
		}
	}
	users, err := byIDs(c, scanAddressee, `SELECT `+userColumns+`, COALESCE(i.quiet_until, 0)
		FROM userkeys_users u LEFT JOIN userkeys_inboxes i ON i.user_id = u.id WHERE u.id`, userIDs)
	if err != nil {
		return nil, err
	}
	notes, err := byIDs(c, scanNotification,
		"SELECT "+notificationColumns+" FROM userkeys_notifications WHERE id", noteIDs)
	if err != nil {
		return nil, err
	}
	keys, err := byIDs(c, scanPushedKey, "SELECT "+keyColumns+", "+pushColumns+keyTables+
		" LEFT JOIN userkeys_key_pushes p ON p.key_id = k.id WHERE k.push_url <> '' AND k.user_id", userIDs)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(keys, func(a, b outbox.Key) int { return cmp.Compare(a.ClientID, b.ClientID) })
	return joinDetails(batch, users, notes, keys), nil
}

// joinDetails returns the details of deliveries from the records that were read for them.
func joinDetails(
	batch []outbox.Delivery, users []addressee, notes []site.Notification, keys []outbox.Key,
) []outbox.Details {
	userByID, noteByID, keysByUser := map[int64]addressee{}, map[int64]site.Notification{}, map[int64][]outbox.Key{}
	for _, u := range users {
		userByID[u.ID] = u
	}
	for _, n := range notes {
		noteByID[n.ID] = n
	}
	for _, k := range keys {
		keysByUser[k.UserID] = append(keysByUser[k.UserID], k)
	}
	var details []outbox.Details
	for _, d := range batch {
		u, ok := userByID[d.UserID]
		if !ok {
			continue
		}
		one := outbox.Details{Delivery: d, User: u.User, QuietUntil: u.quietUntil}
		if n := noteByID[d.NotificationID]; n.UserID == d.UserID {
			one.Notification = n
		}
		for _, k := range keysByUser[d.UserID] {
			if k.PushURL == d.PushURL && (d.KeyID == 0 || d.KeyID == k.ID) {
				one.Keys = append(one.Keys, k)
			}
		}
		details = append(details, one)
	}
	return details
}

// byIDs runs a query that ends with the column of the ids. It queries each id once, and runs no query without ids.
func byIDs[T any](c conn, scan func(row) (T, error), query string, ids []int64) ([]T, error) {
	ids = unique(ids)
	if len(ids) == 0 {
		return nil, nil
	}
	return all(c, scan, query+in(1, len(ids)), arguments(ids)...)
}

// FinishDeliveries writes the results of attempts in one transaction, with the state of their push URLs, hosts and
// keys. A result with an older claim, because the claim ended and another node claimed the delivery, does not change
// the delivery.
func (s *Store) FinishDeliveries(ctx context.Context, results []outbox.Result) error {
	return s.write(ctx, func(c conn) error {
		byID := func(a, b outbox.Result) int { return cmp.Compare(a.ID, b.ID) }
		results := slices.SortedFunc(slices.Values(results), byID)
		if err := removeDeliveries(c, results); err != nil {
			return err
		}
		for _, r := range results {
			if err := settleDelivery(c, r); err != nil {
				return err
			}
		}
		slices.SortStableFunc(results, func(a, b outbox.Result) int { return a.At.Compare(b.At) })
		if err := settleKeys(c, results); err != nil {
			return err
		}
		return s.settleReceivers(c, results)
	})
}

// removeDeliveries deletes the deliveries that are done.
func removeDeliveries(c conn, results []outbox.Result) error {
	var done []any
	for _, r := range results {
		if r.Outcome == outbox.Delivered || r.Outcome == outbox.Dropped {
			done = append(done, r.ID, r.Claim)
		}
	}
	return inChunks(done, 2*deliveriesPerStatement, func(chunk []any) error {
		values := strings.Replace(placeholders(1, len(chunk)/2, 2), "($1,$2)", "(CAST($1 AS BIGINT),CAST($2 AS BIGINT))", 1)
		_, err := c.exec("DELETE FROM userkeys_deliveries WHERE (id, claim) IN (VALUES "+values+")", chunk...)
		return err
	})
}

// settleDelivery writes when a delivery is tried again, or that it was given up.
func settleDelivery(c conn, r outbox.Result) error {
	if r.Outcome != outbox.Retried && r.Outcome != outbox.GivenUp {
		return nil
	}
	attempts, problem := 1, "$4"
	if r.Unmade {
		attempts, problem = 0, "CASE WHEN $4 = '' THEN problem ELSE $4 END"
	}
	when, at := "next_at = $5", r.NextAt
	switch {
	case r.Outcome == outbox.GivenUp:
		when, at = "dead_at = $5", r.At
	case r.Deferred:
		when = "next_at = $5, queued_at = $5"
	}
	_, err := c.exec("UPDATE userkeys_deliveries SET attempt = attempt + $3, problem = "+problem+", "+when+
		" WHERE id = $1 AND claim = $2 AND dead_at = 0", r.ID, r.Claim, attempts, string(r.Problem), micros(at))
	return err
}

// keysPerStatement bounds an upsert of the keys' state.
const keysPerStatement = 100

// settleKeys writes how pushing to keys goes, in the order of their ids, so that two nodes that do this at once do
// not lock each other out.
func settleKeys(c conn, results []outbox.Result) error {
	states := map[int64]outbox.KeyState{}
	for _, r := range results { // in the order of their times
		for _, id := range r.KeyIDs {
			before := states[id]
			after := before
			if after.Note(r); after != before {
				states[id] = after
			}
		}
	}
	return inChunks(slices.Sorted(maps.Keys(states)), keysPerStatement, func(ids []int64) error {
		args := make([]any, 0, 6*len(ids))
		for _, id := range ids {
			k := states[id]
			args = append(args, id, micros(k.DeliveredAt), micros(k.FailedAt), micros(k.FailingSince),
				string(k.Problem), micros(k.OffAt))
		}
		values := strings.Replace(placeholders(1, len(ids), 6), "($1,$2,$3,$4,$5,$6)", `(CAST($1 AS BIGINT),
			CAST($2 AS BIGINT),CAST($3 AS BIGINT),CAST($4 AS BIGINT),CAST($5 AS TEXT),CAST($6 AS BIGINT))`, 1)
		// A key that was failing before, and is not reached here, fails since then.
		_, err := c.exec(`WITH v (id, delivered_at, failed_at, failing_since, problem, off_at) AS (VALUES `+values+`)
			INSERT INTO userkeys_key_pushes AS p (key_id, delivered_at, failed_at, failing_since, problem, off_at)
			SELECT k.id, v.delivered_at, v.failed_at, v.failing_since, v.problem, v.off_at
				FROM userkeys_keys k JOIN v ON v.id = k.id WHERE k.id > 0 ORDER BY k.id
			ON CONFLICT (key_id) DO UPDATE SET
				delivered_at = CASE WHEN excluded.delivered_at = 0 THEN p.delivered_at ELSE excluded.delivered_at END,
				failed_at = CASE WHEN excluded.failed_at = 0 THEN p.failed_at ELSE excluded.failed_at END,
				failing_since = CASE WHEN excluded.delivered_at = 0 AND p.failing_since <> 0
					THEN p.failing_since ELSE excluded.failing_since END,
				problem = excluded.problem,
				off_at = CASE WHEN p.off_at = 0 THEN excluded.off_at ELSE p.off_at END`, args...)
		return err
	})
}

// settleReceivers writes how pushing to push URLs and their hosts goes.
func (s *Store) settleReceivers(c conn, results []outbox.Result) error {
	made := map[string][]outbox.Result{}
	hosts := map[string][]outbox.Result{}
	for _, r := range results {
		if host := site.PushHostOf(r.PushURL); !r.Unmade {
			made[r.PushURL], hosts[host] = append(made[r.PushURL], r), append(hosts[host], r)
		}
	}
	for _, address := range slices.Sorted(maps.Keys(made)) {
		a, err := one(c, scanReceiver, "SELECT "+receiverColumns+
			" FROM userkeys_push_receivers a WHERE a.push_url = $1"+s.diff.lockRow, address)
		if isNoRows(err) {
			continue
		}
		if err != nil {
			return err
		}
		for _, r := range made[address] {
			a.Note(r)
		}
		_, err = c.exec(`UPDATE userkeys_push_receivers SET failures = $2, closed_until = $3, delivered_at = $4,
			failed_at = $5, problem = $6, delivered = $7, failed = $8 WHERE push_url = $1`,
			address, a.Failures, micros(a.ClosedUntil), micros(a.DeliveredAt), micros(a.FailedAt), string(a.Problem),
			a.Delivered, a.Failed)
		if err != nil {
			return err
		}
	}
	return s.settleHosts(c, hosts)
}

// settleHosts writes whether hosts take connections, by the results of the attempts to reach each.
func (s *Store) settleHosts(c conn, hosts map[string][]outbox.Result) error {
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		h, err := one(c, scanReach, "SELECT "+reachColumns+
			" FROM userkeys_push_hosts h WHERE h.host = $1"+s.diff.lockRow, host)
		if isNoRows(err) {
			continue
		}
		if err != nil {
			return err
		}
		before := h
		for _, r := range hosts[host] {
			h.Note(r)
		}
		if h == before {
			continue
		}
		_, err = c.exec("UPDATE userkeys_push_hosts SET failures = $2, closed_until = $3 WHERE host = $1",
			host, h.Failures, micros(h.ClosedUntil))
		if err != nil {
			return err
		}
	}
	return nil
}

// GiveUpOverdue gives up deliveries that were queued before queuedBefore, also those that were never tried. For those
// that were tried, it switches pushing to their keys off, unless something was delivered to the key since. It returns
// how many; call it until it returns 0.
func (s *Store) GiveUpOverdue(ctx context.Context, queuedBefore, at time.Time) (int, error) {
	var dead []outbox.Delivery
	err := s.write(ctx, func(c conn) error {
		var err error
		// next_at: a delivery that a node is sending now is finished by that node.
		dead, err = all(c, scanDelivery, `WITH late (delivery) AS MATERIALIZED (
				SELECT id FROM userkeys_deliveries WHERE dead_at = 0 AND queued_at < $1 AND next_at <= $2
				ORDER BY queued_at LIMIT $3`+s.diff.takeRow+`)
			UPDATE userkeys_deliveries SET dead_at = $2, problem = CASE WHEN problem = '' THEN $4 ELSE problem END
			FROM late WHERE id = delivery RETURNING `+deliveryColumns,
			micros(queuedBefore), micros(at), jobBatch, string(outbox.ProblemOverdue))
		if err != nil {
			return err
		}
		return switchOff(c, dead, at)
	})
	return len(dead), err
}

// switchOff switches pushing off to the keys of deliveries that were given up, in one order everywhere. A delivery that
// was never tried says nothing about the app.
func switchOff(c conn, dead []outbox.Delivery, at time.Time) error {
	slices.SortFunc(dead, func(a, b outbox.Delivery) int {
		return cmp.Or(cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.PushURL, b.PushURL),
			cmp.Compare(a.KeyID, b.KeyID), cmp.Compare(a.ID, b.ID))
	})
	for i, d := range dead {
		same := i > 0 && dead[i-1].Attempt > 0 &&
			dead[i-1].UserID == d.UserID && dead[i-1].PushURL == d.PushURL && dead[i-1].KeyID == d.KeyID
		if same || d.Attempt == 0 {
			continue
		}
		_, err := c.exec(`INSERT INTO userkeys_key_pushes AS p
				(key_id, delivered_at, failed_at, failing_since, problem, off_at)
			SELECT k.id, 0, $1, $1, $2, $1 FROM userkeys_keys k
				WHERE k.user_id = $3 AND k.push_url = $4 AND (k.id = $5 OR $5 = 0) ORDER BY k.id
			ON CONFLICT (key_id) DO UPDATE SET
				off_at = CASE WHEN p.off_at = 0 AND p.delivered_at < $6 THEN excluded.off_at ELSE p.off_at END,
				problem = CASE WHEN p.problem = '' THEN excluded.problem ELSE p.problem END`,
			micros(at), string(d.Problem), d.UserID, d.PushURL, d.KeyID, micros(d.QueuedAt))
		if err != nil {
			return err
		}
	}
	return nil
}
