package store

import (
	"maps"
	"slices"
	"time"

	"userkeys/outbox"
	"userkeys/site"
)

// destination is a push URL of a user.
type destination struct {
	userID     int64
	scopes     string
	pushURL    string
	seen       int64
	quietUntil int64
}

func scanDestination(r row) (destination, error) {
	var d destination
	err := r.Scan(&d.userID, &d.scopes, &d.pushURL, &d.seen, &d.quietUntil)
	return d, err
}

const deliveryWidth = 12

// enqueue writes the deliveries of an announcement, one for each notification and push URL, and returns how many.
// notified has the ids of the notifications by user. It is called in the transaction that writes the notifications,
// so that neither exists without the other.
func enqueue(c conn, a site.Announcement, notified map[int64]int64) (int, error) {
	if a.PushBy == nil || len(notified) == 0 {
		return 0, nil
	}
	users := make([]int64, 0, len(notified))
	for id := range notified {
		users = append(users, id)
	}
	slices.Sort(users)
	queued := 0
	addresses := map[string]string{} // their hosts
	err := inChunks(users, idsPerStatement, func(chunk []int64) error {
		found, err := destinations(c, chunk, a.Notification.CreatedAt)
		if err != nil {
			return err
		}
		var args []any
		var last destination
		for _, d := range found {
			host := site.PushHostOf(d.pushURL)
			same := d.userID == last.userID && d.pushURL == last.pushURL
			if same || host == "" || !a.PushBy.Pushes(splitList(d.scopes, scopeSeparator), d.pushURL) {
				continue
			}
			last = d
			at := a.Notification.CreatedAt
			due := later(at, outbox.HeldUntil(*a.PushBy, fromMicros(d.seen), fromMicros(d.quietUntil), at))
			args = append(args, d.userID, notified[d.userID], 0, d.pushURL, host,
				micros(at), micros(due), micros(due), 0, 0, 0, "")
			addresses[d.pushURL] = host
		}
		queued += len(args) / deliveryWidth
		return insertDeliveries(c, args)
	})
	if err != nil {
		return 0, err
	}
	return queued, knowReceivers(c, addresses)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// destinations returns the push URLs of the live keys of users for which pushing is on, ordered by user and push URL.
func destinations(c conn, users []int64, at time.Time) ([]destination, error) {
	args := []any{micros(at)}
	for _, id := range users {
		args = append(args, id)
	}
	return all(c, scanDestination, `SELECT k.user_id, k.scopes, k.push_url, u.last_seen_at, COALESCE(i.quiet_until, 0)
		FROM userkeys_keys k JOIN userkeys_users u ON u.id = k.user_id
		LEFT JOIN userkeys_inboxes i ON i.user_id = k.user_id
		LEFT JOIN userkeys_key_pushes p ON p.key_id = k.id
		WHERE k.user_id`+in(2, len(users))+` AND k.push_url <> ''
			AND k.revoked_at = 0 AND (k.expires_at = 0 OR k.expires_at > $1) AND COALESCE(p.off_at, 0) = 0
		ORDER BY k.user_id, k.push_url, k.id`, args...)
}

// deliveriesPerStatement keeps below the bound on parameters.
const deliveriesPerStatement = 100

func insertDeliveries(c conn, args []any) error {
	return inChunks(args, deliveriesPerStatement*deliveryWidth, func(chunk []any) error {
		_, err := c.exec(`INSERT INTO userkeys_deliveries (user_id, notification_id, key_id, push_url, host,
			created_at, queued_at, next_at, claim, attempt, dead_at, problem) VALUES `+
			placeholders(1, len(chunk)/deliveryWidth, deliveryWidth), chunk...)
		return err
	})
}

// knowReceivers inserts the rows of push URLs and their hosts that have none. hosts has the hosts by push URL. The
// order is the same everywhere, so that two calls never wait for each other.
func knowReceivers(c conn, hosts map[string]string) error {
	for _, address := range slices.Sorted(maps.Keys(hosts)) {
		known, err := all(c, scanText, "SELECT push_url FROM userkeys_push_receivers WHERE push_url = $1", address)
		if err != nil {
			return err
		}
		if len(known) > 0 {
			continue
		}
		_, err = c.exec(`INSERT INTO userkeys_push_receivers
				(push_url, host, failures, closed_until, delivered_at, failed_at, problem, delivered, failed)
			VALUES ($1, $2, 0, 0, 0, 0, '', 0, 0) ON CONFLICT DO NOTHING`, address, hosts[address])
		if err != nil {
			return err
		}
		_, err = c.exec(`INSERT INTO userkeys_push_hosts (host, failures, closed_until)
			VALUES ($1, 0, 0) ON CONFLICT DO NOTHING`, hosts[address])
		if err != nil {
			return err
		}
	}
	return nil
}
