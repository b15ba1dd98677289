package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"userkeys"
)

// Deliveries lists deliveries, newest first.
func (s *Store) Deliveries(ctx context.Context, f userkeys.DeliveryFilter) ([]userkeys.Delivery, error) {
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
	query := "SELECT " + deliveryColumns + " FROM userkeys_deliveries" + w.where() + " ORDER BY id DESC LIMIT " + listLimit(f.Limit)
	return read(ctx, s, func(ctx context.Context, c conn) ([]userkeys.Delivery, error) {
		return all(ctx, c, scanDelivery, query, w.args...)
	})
}

func scanHostCount(r row) (hostCount, error) {
	var n hostCount
	err := r.Scan(&n.host, &n.dead, &n.count, &n.due)
	return n, err
}

// hostCount is how many deliveries of a host wait, or are given up.
type hostCount struct {
	host  string
	dead  bool
	count int
	due   int64
}

// PushHosts lists every host that something was pushed to or waits for, with its numbers.
func (s *Store) PushHosts(ctx context.Context) ([]userkeys.PushHost, error) {
	return read(ctx, s, func(ctx context.Context, c conn) ([]userkeys.PushHost, error) {
		hosts, err := all(ctx, c, scanHost, "SELECT "+hostColumns+" FROM userkeys_push_hosts h ORDER BY h.host")
		if err != nil {
			return nil, err
		}
		counts, err := all(ctx, c, scanHostCount, `SELECT host, dead_at <> 0, COUNT(*), MIN(next_at) FROM userkeys_deliveries GROUP BY host, dead_at <> 0`)
		for _, n := range counts {
			i := slices.IndexFunc(hosts, func(h userkeys.PushHost) bool { return h.Host == n.host })
			switch {
			case i < 0:
			case n.dead:
				hosts[i].Dead = n.count
			default:
				hosts[i].Queued, hosts[i].DueAt = n.count, fromMicros(n.due)
			}
		}
		return hosts, err
	})
}

func scanKeyPush(r row) (userkeys.PushedKey, error) {
	var k userkeys.PushedKey
	var c columns
	c.dest = append(c.dest, &k.ID)
	c.push(&k.Push)
	return k, c.scan(r)
}

// KeyPushes tells how pushing to keys goes, by their ids; those that nothing was pushed to are absent.
func (s *Store) KeyPushes(ctx context.Context, keyIDs []int64) (map[int64]userkeys.KeyPush, error) {
	return read(ctx, s, func(ctx context.Context, c conn) (map[int64]userkeys.KeyPush, error) {
		out := map[int64]userkeys.KeyPush{}
		err := inChunks(unique(keyIDs), idsPerStatement, func(chunk []int64) error {
			some, err := byIDs(ctx, c, scanKeyPush, "SELECT p.key_id, "+pushColumns+" FROM userkeys_key_pushes p WHERE p.key_id", chunk)
			for _, k := range some {
				out[k.ID] = k.Push
			}
			return err
		})
		return out, err
	})
}

// QueueTest queues a test push for one key. [userkeys.Conflict] if one is on its way already.
func (s *Store) QueueTest(ctx context.Context, k userkeys.UserAPIKey, at time.Time) error {
	return s.write(ctx, func(ctx context.Context, c conn) error {
		open, err := one(ctx, c, scanInt, `SELECT COUNT(*) FROM userkeys_deliveries
			WHERE user_id = $1 AND push_url = $2 AND key_id = $3 AND dead_at = 0`, k.UserID, k.PushURL, k.ID)
		if err != nil {
			return err
		}
		if open > 0 {
			return userkeys.Errorf(userkeys.Conflict, "a test is on its way to this app already")
		}
		host := userkeys.PushHostOf(k.PushURL)
		if err := knowHosts(ctx, c, map[string]bool{host: true}); err != nil {
			return err
		}
		return insertDeliveries(ctx, c, []any{k.UserID, 0, k.ID, k.PushURL, host, micros(at), micros(at), micros(at), 0, 0, ""})
	})
}

// requeue is how what was given up is tried again: as if it were new, under the same id.
const requeue = "UPDATE userkeys_deliveries SET dead_at = 0, next_at = $1, queued_at = $1, attempt = 0, problem = ''"

// ResumeKeyPush switches pushing to a key on again, opens its host, and queues again
// what was given up for it since a time. [userkeys.NotFound].
func (s *Store) ResumeKeyPush(ctx context.Context, keyID int64, since, at time.Time, by userkeys.Actor) error {
	if err := checkText(string(by.Kind), by.IP); err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, c conn) error {
		k, err := one(ctx, c, scanKey, "SELECT "+keyColumns+keyTables+" WHERE k.id = $1", keyID)
		if err != nil {
			return notFound(err, "key")
		}
		if err := switchOn(ctx, c, []int64{keyID}); err != nil {
			return err
		}
		if _, err := c.exec(ctx, requeue+" WHERE dead_at > $2 AND user_id = $3 AND push_url = $4 AND (key_id = 0 OR key_id = $5)",
			micros(at), micros(since), k.UserID, k.PushURL, k.ID); err != nil {
			return err
		}
		host := userkeys.PushHostOf(k.PushURL)
		if _, err := c.exec(ctx, openHost, host); err != nil {
			return err
		}
		return audit(ctx, c, userkeys.AuditEvent{
			At: at, Actor: by, Action: actionPushResumed, KeyID: k.ID, UserID: k.UserID, ClientID: k.ClientID, Detail: host,
		})
	})
}

const openHost = "UPDATE userkeys_push_hosts SET closed_until = 0 WHERE host = $1"

// ResumeHostPushes does so for a host and all keys with an address there. [userkeys.NotFound].
func (s *Store) ResumeHostPushes(ctx context.Context, host string, since, at time.Time, by userkeys.Actor) error {
	if err := checkText(host, string(by.Kind), by.IP); err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, c conn) error {
		if n, err := c.exec(ctx, openHost, host); err != nil || n == 0 {
			return cmp.Or(err, error(userkeys.Errorf(userkeys.NotFound, "nothing was ever pushed to %s", host)))
		}
		off, err := all(ctx, c, scanKeyAddress, `SELECT k.id, k.push_url FROM userkeys_keys k
			JOIN userkeys_key_pushes p ON p.key_id = k.id WHERE p.off_at <> 0 ORDER BY k.id`)
		if err != nil {
			return err
		}
		var ids []int64
		for _, k := range off {
			if userkeys.PushHostOf(k.PushURL) == host {
				ids = append(ids, k.ID)
			}
		}
		if err := switchOn(ctx, c, ids); err != nil {
			return err
		}
		if _, err := c.exec(ctx, requeue+" WHERE dead_at > $2 AND host = $3", micros(at), micros(since), host); err != nil {
			return err
		}
		return audit(ctx, c, userkeys.AuditEvent{At: at, Actor: by, Action: actionPushResumed, Detail: fmt.Sprintf("%s, %d keys", host, len(ids))})
	})
}

func scanKeyAddress(r row) (userkeys.UserAPIKey, error) {
	var k userkeys.UserAPIKey
	err := r.Scan(&k.ID, &k.PushURL)
	return k, err
}

// switchOn switches pushing to keys on.
func switchOn(ctx context.Context, c conn, keyIDs []int64) error {
	return inChunks(keyIDs, idsPerStatement, func(chunk []int64) error {
		args := make([]any, len(chunk))
		for i, id := range chunk {
			args[i] = id
		}
		_, err := c.exec(ctx, "UPDATE userkeys_key_pushes SET off_at = 0, failing_since = 0, problem = '' WHERE key_id IN ("+list(1, len(chunk))+")", args...)
		return err
	})
}

// ReplayDeliveries queues again what was given up: those of ids, or all of a host, or all.
func (s *Store) ReplayDeliveries(ctx context.Context, ids []int64, host string, at time.Time, by userkeys.Actor) (int, error) {
	return s.settleDead(ctx, ids, host, at, by, actionPushReplayed, requeue)
}

// DiscardDeliveries forgets what was given up, in the same way.
func (s *Store) DiscardDeliveries(ctx context.Context, ids []int64, host string, at time.Time, by userkeys.Actor) (int, error) {
	return s.settleDead(ctx, ids, host, at, by, actionPushDiscarded, "DELETE FROM userkeys_deliveries")
}

func (s *Store) settleDead(ctx context.Context, ids []int64, host string, at time.Time, by userkeys.Actor, action, statement string) (int, error) {
	if err := checkText(host, string(by.Kind), by.IP); err != nil {
		return 0, err
	}
	if len(ids) > idsPerStatement {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "at most %d deliveries at a time", idsPerStatement)
	}
	var w conditions
	w.add("dead_at <> 0 AND dead_at <= $?", micros(at)) // $1 is used by the statement as well
	if host != "" {
		w.add("host = $?", host)
	}
	if len(ids) > 0 {
		first := len(w.args) + 1
		for _, id := range unique(ids) {
			w.args = append(w.args, id)
		}
		w.parts = append(w.parts, "id IN ("+list(first, len(w.args)-first+1)+")")
	}
	var n int64
	err := s.write(ctx, func(ctx context.Context, c conn) error {
		var err error
		if n, err = c.exec(ctx, statement+w.where(), w.args...); err != nil || n == 0 {
			return err
		}
		return audit(ctx, c, userkeys.AuditEvent{At: at, Actor: by, Action: action, Detail: strings.TrimSpace(fmt.Sprintf("%d deliveries %s", n, host))})
	})
	return int(n), err
}
