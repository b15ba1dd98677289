package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"userkeys"
	"userkeys/outbox"
	"userkeys/site"
)

// Deliveries lists deliveries, newest first.
func (s *Store) Deliveries(ctx context.Context, f outbox.Filter) ([]outbox.Delivery, error) {
	if err := checkText(f.Host); err != nil {
		return nil, err
	}
	var w conditions
	if f.Dead {
		w.parts = append(w.parts, "dead_at <> 0")
	} else {
		w.parts = append(w.parts, "dead_at = 0")
	}
	if f.Host != "" {
		w.add("host = $?", f.Host)
	}
	if f.UserID != 0 {
		w.add("user_id = $?", f.UserID)
	}
	if f.Before != 0 {
		w.add("id < $?", f.Before)
	}
	query := "SELECT " + deliveryColumns + " FROM userkeys_deliveries" + w.where() +
		" ORDER BY id DESC LIMIT " + listLimit(f.Limit)
	return read(ctx, s, func(c conn) ([]outbox.Delivery, error) {
		return all(c, scanDelivery, query, w.args...)
	})
}

// queued is how many deliveries a push URL or a host has, and when the first is due.
type queued struct {
	name  string
	count int
	due   int64
}

func scanQueued(r row) (queued, error) {
	var n queued
	err := r.Scan(&n.name, &n.count, &n.due)
	return n, err
}

func scanKnownReceiver(r row) (outbox.Address, error) {
	var a outbox.Address
	var c columns
	c.receiver(&a)
	c.reach(&a.Reach)
	return a, c.scan(r)
}

// PushHosts lists every host that something was pushed to or waits for, with its counts.
func (s *Store) PushHosts(ctx context.Context) ([]outbox.Host, error) {
	return read(ctx, s, func(c conn) ([]outbox.Host, error) {
		addresses, err := all(c, scanKnownReceiver, "SELECT "+receiverColumns+", "+reachColumns+
			" FROM userkeys_push_receivers a JOIN userkeys_push_hosts h ON h.host = a.host ORDER BY a.host")
		if err != nil {
			return nil, err
		}
		var hosts []outbox.Host
		for _, a := range addresses {
			if n := len(hosts); n == 0 || hosts[n-1].Host != a.Host {
				hosts = append(hosts, outbox.Host{Host: a.Host})
			}
			addReceiver(&hosts[len(hosts)-1], a)
		}
		return hosts, countDeliveries(c, hosts)
	})
}

// countDeliveries fills in what waits for hosts, what was given up, and the keys that pushing is switched off for.
func countDeliveries(c conn, hosts []outbox.Host) error {
	// The first two queries are answered from an index alone.
	waiting, err := all(c, scanQueued, `SELECT push_url, COUNT(*), MIN(next_at) FROM userkeys_deliveries
		WHERE dead_at = 0 GROUP BY push_url`)
	if err != nil {
		return err
	}
	dead, err := all(c, scanQueued, `SELECT host, COUNT(*), 0 FROM userkeys_deliveries
		WHERE dead_at <> 0 GROUP BY host`)
	if err != nil {
		return err
	}
	off, err := all(c, scanQueued, `SELECT k.push_url, COUNT(*), 0 FROM userkeys_key_pushes p
		JOIN userkeys_keys k ON k.id = p.key_id WHERE p.off_at <> 0 AND k.revoked_at = 0 GROUP BY k.push_url`)
	if err != nil {
		return err
	}
	byName := make(map[string]*outbox.Host, len(hosts))
	for i := range hosts {
		byName[hosts[i].Host] = &hosts[i]
	}
	for _, n := range waiting {
		if h, due := byName[site.PushHostOf(n.name)], fromMicros(n.due); h != nil {
			h.Queued += n.count
			if h.DueAt.IsZero() || due.Before(h.DueAt) {
				h.DueAt = due
			}
		}
	}
	for _, n := range dead {
		if h := byName[n.name]; h != nil {
			h.Dead = n.count
		}
	}
	for _, n := range off {
		if h := byName[site.PushHostOf(n.name)]; h != nil {
			h.Off += n.count
		}
	}
	return nil
}

// addReceiver adds the state of a push URL to that of its host.
func addReceiver(h *outbox.Host, a outbox.Address) {
	h.Failures = max(h.Failures, a.Failures, a.Reach.Failures)
	h.ClosedUntil = later(h.ClosedUntil, a.OpensAt())
	h.DeliveredAt = later(h.DeliveredAt, a.DeliveredAt)
	if a.FailedAt.After(h.FailedAt) {
		h.FailedAt, h.Problem = a.FailedAt, a.Problem
	}
	h.Delivered += a.Delivered
	h.Failed += a.Failed
}

func scanKeyPush(r row) (outbox.Key, error) {
	var k outbox.Key
	var c columns
	c.dest = append(c.dest, &k.ID)
	c.push(&k.Push)
	return k, c.scan(r)
}

// KeyPushes reads how pushing to keys goes, by their ids. Keys that nothing was pushed to are absent.
func (s *Store) KeyPushes(ctx context.Context, keyIDs []int64) (map[int64]outbox.KeyState, error) {
	return read(ctx, s, func(c conn) (map[int64]outbox.KeyState, error) {
		out := map[int64]outbox.KeyState{}
		err := inChunks(unique(keyIDs), idsPerStatement, func(chunk []int64) error {
			some, err := byIDs(c, scanKeyPush, "SELECT p.key_id, "+pushColumns+
				" FROM userkeys_key_pushes p WHERE p.key_id", chunk)
			for _, k := range some {
				out[k.ID] = k.Push
			}
			return err
		})
		return out, err
	})
}

// QueueTest queues a test push for one key.
//
// Errors: [userkeys.Conflict] if a test waits already.
func (s *Store) QueueTest(ctx context.Context, k site.UserAPIKey, at time.Time) error {
	return s.write(ctx, func(c conn) error {
		open, err := one(c, scanInt, `SELECT COUNT(*) FROM userkeys_deliveries
			WHERE user_id = $1 AND push_url = $2 AND key_id = $3 AND dead_at = 0`, k.UserID, k.PushURL, k.ID)
		if err != nil {
			return err
		}
		if open > 0 {
			return userkeys.Errorf(userkeys.Conflict, "a test is on its way to this app already")
		}
		host := site.PushHostOf(k.PushURL)
		if err := knowReceivers(c, map[string]string{k.PushURL: host}); err != nil {
			return err
		}
		return insertDeliveries(c, []any{k.UserID, 0, k.ID, k.PushURL, host, micros(at), micros(at), micros(at), 0, 0, 0, ""})
	})
}

// retryNow makes waiting deliveries due at once, after somebody said that the receiver works again. What is due
// within a minute stays as it is: it may be what a node has claimed and is sending, which must not go out twice.
const retryNow = "UPDATE userkeys_deliveries SET next_at = $1 " +
	"WHERE dead_at = 0 AND attempt > 0 AND next_at - $1 > 60000000"

// requeue makes a given-up delivery a new one, under the same id.
const requeue = "UPDATE userkeys_deliveries SET dead_at = 0, next_at = $1, queued_at = $1, attempt = 0, problem = ''"

// ResumeKeyPush switches pushing to a key on again, queues again what was given up for it since r.Since, and makes
// due what waits for its next attempt. It writes an audit event if that changes anything. It does not open a push URL
// that is closed, because other users have it too.
//
// Errors: [userkeys.NotFound] if there is no such key.
func (s *Store) ResumeKeyPush(ctx context.Context, keyID int64, r outbox.Resumption) error {
	if err := checkText(string(r.By.Kind()), r.By.Address); err != nil {
		return err
	}
	return s.write(ctx, func(c conn) error {
		k, err := one(c, scanKey, "SELECT "+keyColumns+keyTables+" WHERE k.id = $1", keyID)
		if err != nil {
			return notFound(err, "key")
		}
		switched, err := switchOn(c, []int64{keyID})
		if err != nil {
			return err
		}
		queued, err := c.exec(requeue+` WHERE dead_at > $2 AND user_id = $3 AND push_url = $4
			AND (key_id = 0 OR key_id = $5)`, micros(r.At), micros(r.Since), k.UserID, k.PushURL, k.ID)
		if err != nil {
			return err
		}
		due, err := c.exec(retryNow+" AND user_id = $2 AND push_url = $3", micros(r.At), k.UserID, k.PushURL)
		if err != nil || switched+queued+due == 0 {
			return err
		}
		return audit(c, site.AuditEvent{
			At: r.At, Caller: r.By, Action: actionPushResumed,
			KeyID: k.ID, UserID: k.UserID, ClientID: k.ClientID, Detail: site.PushHostOf(k.PushURL),
		})
	})
}

// ResumeHostPushes switches pushing to every key with a push URL at a host on again, opens the host and its push
// URLs, queues again what was given up there since r.Since, and makes due what waits for its next attempt. It locks
// rows in the order of [Store.FinishDeliveries].
//
// Errors: [userkeys.NotFound] if nothing was ever pushed to the host.
func (s *Store) ResumeHostPushes(ctx context.Context, host string, r outbox.Resumption) error {
	if err := checkText(host, string(r.By.Kind()), r.By.Address); err != nil {
		return err
	}
	return s.write(ctx, func(c conn) error {
		known, err := all(c, scanText, "SELECT host FROM userkeys_push_hosts WHERE host = $1", host)
		if err != nil {
			return err
		}
		if len(known) == 0 {
			return userkeys.Errorf(userkeys.NotFound, "nothing was ever pushed to %s", host)
		}
		if _, err := c.exec(requeue+" WHERE dead_at > $2 AND host = $3", micros(r.At), micros(r.Since), host); err != nil {
			return err
		}
		if _, err := c.exec(retryNow+" AND host = $2", micros(r.At), host); err != nil {
			return err
		}
		ids, err := keysOff(c, host)
		if err != nil {
			return err
		}
		if _, err := switchOn(c, ids); err != nil {
			return err
		}
		if err := s.openHost(c, host); err != nil {
			return err
		}
		detail := fmt.Sprintf("%s, %d keys", host, len(ids))
		return audit(c, site.AuditEvent{At: r.At, Caller: r.By, Action: actionPushResumed, Detail: detail})
	})
}

// keysOff returns the ids of the keys with a push URL at a host that pushing is switched off for.
func keysOff(c conn, host string) ([]int64, error) {
	off, err := all(c, scanKeyAddress, `SELECT k.id, k.push_url FROM userkeys_keys k
		JOIN userkeys_key_pushes p ON p.key_id = k.id WHERE p.off_at <> 0 ORDER BY k.id`)
	var ids []int64
	for _, k := range off {
		if site.PushHostOf(k.PushURL) == host {
			ids = append(ids, k.ID)
		}
	}
	return ids, err
}

// openHost opens a host and its push URLs, which it locks in the order of their names.
func (s *Store) openHost(c conn, host string) error {
	_, err := all(c, scanText, "SELECT push_url FROM userkeys_push_receivers WHERE host = $1 ORDER BY push_url"+
		s.diff.lockRow, host)
	if err != nil {
		return err
	}
	for _, table := range []string{"userkeys_push_receivers", "userkeys_push_hosts"} {
		if _, err := c.exec("UPDATE "+table+" SET closed_until = 0 WHERE host = $1", host); err != nil {
			return err
		}
	}
	return nil
}

func scanKeyAddress(r row) (site.UserAPIKey, error) {
	var k site.UserAPIKey
	err := r.Scan(&k.ID, &k.PushURL)
	return k, err
}

// switchOn switches pushing to keys on, and returns for how many it was off.
func switchOn(c conn, keyIDs []int64) (int64, error) {
	total := int64(0)
	err := inChunks(keyIDs, idsPerStatement, func(chunk []int64) error {
		n, err := c.exec(`UPDATE userkeys_key_pushes SET off_at = 0, failing_since = 0, problem = ''
			WHERE off_at <> 0 AND key_id`+in(1, len(chunk)), arguments(chunk)...)
		total += n
		return err
	})
	return total, err
}

// ReplayDeliveries queues given-up deliveries again, and returns how many. Pushing to the keys that they are for is
// switched on: else they would be given up once more.
func (s *Store) ReplayDeliveries(ctx context.Context, sel outbox.Selection) (int, error) {
	return s.settleDead(ctx, sel, settlement{actionPushReplayed, requeue, `UPDATE userkeys_key_pushes
		SET off_at = 0, failing_since = 0, problem = ''
		WHERE off_at <> 0 AND EXISTS (SELECT 1 FROM userkeys_keys k
			JOIN userkeys_deliveries d ON d.user_id = k.user_id AND d.push_url = k.push_url
			WHERE k.id = userkeys_key_pushes.key_id AND d.dead_at = 0 AND d.queued_at = $1)`})
}

// DiscardDeliveries deletes given-up deliveries, and returns how many.
func (s *Store) DiscardDeliveries(ctx context.Context, sel outbox.Selection) (int, error) {
	return s.settleDead(ctx, sel, settlement{actionPushDiscarded, "DELETE FROM userkeys_deliveries", ""})
}

// A settlement is what is done with given-up deliveries: a statement with the moment as $1 that ends where its
// conditions begin, and one, or none, that follows it.
type settlement struct{ action, statement, after string }

func (s *Store) settleDead(ctx context.Context, sel outbox.Selection, do settlement) (int, error) {
	if err := checkText(sel.Host, string(sel.By.Kind()), sel.By.Address); err != nil {
		return 0, err
	}
	if len(sel.IDs) > idsPerStatement {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "at most %d deliveries at a time", idsPerStatement)
	}
	w := selected(sel)
	var n int64
	err := s.write(ctx, func(c conn) error {
		var err error
		if n, err = c.exec(do.statement+w.where(), w.args...); err != nil || n == 0 {
			return err
		}
		if do.after != "" {
			if _, err := c.exec(do.after, micros(sel.At)); err != nil {
				return err
			}
		}
		detail := strings.TrimSpace(fmt.Sprintf("%d deliveries %s", n, sel.Host))
		return audit(c, site.AuditEvent{At: sel.At, Caller: sel.By, Action: do.action, Detail: detail})
	})
	return int(n), err
}

// selected returns the conditions of given-up deliveries, with the moment as $1.
func selected(sel outbox.Selection) conditions {
	var w conditions
	w.add("dead_at <> 0 AND dead_at <= $?", micros(sel.At))
	if sel.Host != "" {
		w.add("host = $?", sel.Host)
	}
	if len(sel.IDs) > 0 {
		first := len(w.args) + 1
		for _, id := range unique(sel.IDs) {
			w.args = append(w.args, id)
		}
		w.parts = append(w.parts, "id IN ("+list(first, len(w.args)-first+1)+")")
	}
	return w
}
