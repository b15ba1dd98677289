package store

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/site"
)

const (
	writtenColumns = `notification_type, is_read, high_priority, topic_id, post_number, slug, fancy_title, data,
		created_at`
	notificationColumns = `id, user_id, ` + writtenColumns + `, ` + notificationPosition
	// Notifications that were written before positions were kept stand at their id.
	notificationPosition = `CASE WHEN position = 0 THEN id ELSE position END AS position`
)

func scanNotification(r row) (site.Notification, error) {
	var n site.Notification
	var read, urgent, created int64
	var data string
	err := r.Scan(&n.ID, &n.UserID, &n.Type, &read, &urgent, &n.TopicID, &n.PostNumber, &n.Slug, &n.FancyTitle, &data,
		&created, &n.Position)
	n.Read, n.HighPriority, n.Data, n.CreatedAt = read != 0, urgent != 0, []byte(data), fromMicros(created)
	return n, err
}

// maxListedTypes bounds the parts of a list's statement: four for each type.
const maxListedTypes = 100

func checkTypes(types []int) error {
	if len(types) > maxListedTypes {
		return userkeys.Errorf(userkeys.InvalidParameters, "more than %d notification types", maxListedTypes)
	}
	return nil
}

// maxListOffset keeps sums of offsets and limits in range; it is far above every offset that is let in.
const maxListOffset = 1 << 31

// Notifications lists the notifications of a user, at most f.Limit (0: 1000). It reads only those that it lists or
// skips, however many there are.
func (s *Store) Notifications(ctx context.Context, f site.NotificationFilter) ([]site.Notification, error) {
	if err := checkTypes(f.Types); err != nil {
		return nil, err
	}
	if f.UrgentFirst && !f.Unread {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "only what is not read is listed by priority")
	}
	if f.Read && f.Unread {
		return nil, nil
	}
	query, args := listQuery(f)
	return read(ctx, s, func(c conn) ([]site.Notification, error) {
		return all(c, scanNotification, query, args...)
	})
}

// listQuery merges the ends of those parts of an index that contain what f selects. Each part is in the order of the
// list already, so nothing else is read or sorted.
func listQuery(f site.NotificationFilter) (string, []any) {
	var w conditions
	w.add("user_id = $?", f.UserID)
	if f.Before != 0 {
		w.add("id < $?", f.Before)
	}
	order := "id DESC"
	if f.After != 0 {
		w.add("id > $?", f.After)
		order = "id"
	}
	from := "SELECT " + notificationColumns + " FROM userkeys_notifications" + w.where()
	offset := min(max(f.Offset, 0), maxListOffset)
	page := " LIMIT " + listLimit(f.Limit) + " OFFSET " + strconv.Itoa(offset)
	parts := listParts(f)
	if len(parts) == 1 {
		return from + parts[0] + " ORDER BY " + order + page, w.args
	}
	limit := f.Limit
	if limit <= 0 {
		limit = defaultListLimit
	}
	end := " ORDER BY " + order + " LIMIT " + strconv.Itoa(limit+offset)
	for i, part := range parts {
		parts[i] = "SELECT * FROM (" + from + part + end + ") AS part" + strconv.Itoa(i)
	}
	if f.UrgentFirst {
		order = "high_priority DESC, " + order
	}
	return "SELECT * FROM (" + strings.Join(parts, " UNION ALL ") + ") AS listed ORDER BY " + order + page, w.args
}

// listParts returns the conditions of the parts of a list. They contain constants, because two of the indexes are
// partial ones.
func listParts(f site.NotificationFilter) []string {
	const (
		read, unread     = " AND is_read = 1", " AND is_read = 0"
		urgent, ordinary = " AND high_priority = 1", " AND high_priority = 0"
	)
	states := []string{read, unread}
	switch {
	case f.Read:
		states = states[:1]
	case f.Unread:
		states = states[1:]
	}
	if len(f.Types) == 0 {
		switch {
		case f.Unread:
			return []string{unread + urgent, unread + ordinary}
		case f.Read:
			return states
		}
		return []string{""}
	}
	var parts []string
	types := slices.Compact(slices.Sorted(slices.Values(f.Types)))
	for _, t := range types {
		for _, state := range states {
			of := " AND notification_type = " + strconv.Itoa(t) + state
			parts = append(parts, of+urgent, of+ordinary)
		}
	}
	return parts
}

// CountNotifications counts the notifications on all pages of a list.
func (s *Store) CountNotifications(ctx context.Context, f site.NotificationFilter) (int, error) {
	if err := checkTypes(f.Types); err != nil {
		return 0, err
	}
	groups, err := read(ctx, s, func(c conn) ([]group, error) {
		return all(c, scanGroup, "SELECT "+groupsOf, f.UserID)
	})
	n := int64(0)
	for _, g := range groups {
		switch {
		case len(f.Types) > 0 && !slices.Contains(f.Types, int(g.kind)), f.Read && f.Unread:
		case f.Read:
			n += g.total - g.unread
		case f.Unread:
			n += g.unread
		default:
			n += g.total
		}
	}
	return int(n), err
}

// SeeNotifications stores that the user has seen the list up to id, but never more than there is: what comes later
// is new to the user. The marker never goes back.
func (s *Store) SeeNotifications(ctx context.Context, userID, id int64) error {
	return s.write(ctx, func(c conn) error {
		in, there, err := s.openInbox(c, userID)
		if err != nil || !there {
			return err
		}
		moved, err := in.see(c, id)
		if err != nil || !moved {
			return err
		}
		return s.raiseInbox(c, in.userID)
	})
}

// markBatch bounds how many notifications a transaction marks: a list of a hundred thousand must neither delay all
// other writes nor exceed the time limit.
const markBatch = 1000

// ReadNotifications marks as read the notifications of a user that m selects, and returns how many were not read.
// Unless m selects a single one, the list counts as seen. More than 1000 are marked in several transactions: one
// that fails leaves the rest as it was.
func (s *Store) ReadNotifications(ctx context.Context, m site.NotificationsToRead) (int, error) {
	if err := checkTypes(m.Types); err != nil {
		return 0, err
	}
	total, upTo := 0, m.ID
	for n := markBatch; n == markBatch; total += n {
		err := s.write(ctx, func(c conn) error {
			n = 0
			in, there, err := s.openInbox(c, m.UserID)
			if err != nil || !there {
				return err
			}
			if upTo == 0 { // what comes in from now on is not meant
				upTo = in.newest
			}
			moved := false
			if m.ID == 0 {
				if moved, err = in.see(c, upTo); err != nil {
					return err
				}
			}
			if n, err = in.read(c, m, upTo); err != nil || n == 0 && !moved {
				return err
			}
			return s.raiseInbox(c, in.userID)
		})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// read marks at most markBatch of the notifications that m selects, up to an id, updates the counts, and returns
// how many it marked.
func (in *inbox) read(c conn, m site.NotificationsToRead, upTo int64) (int, error) {
	var w conditions
	w.add("user_id = $?", in.userID)
	w.parts = append(w.parts, "is_read = 0")
	if m.ID != 0 {
		w.add("id = $?", m.ID)
	} else {
		w.add("id <= $?", upTo)
		w.types(m.Types)
	}
	// Of one that is above the marker it is told that it counted as new.
	w.args = append(w.args, in.seen)
	seen := "$" + strconv.Itoa(len(w.args))
	marked, err := all(c, scanGroup, `UPDATE userkeys_notifications SET is_read = 1
		WHERE id IN (SELECT id FROM userkeys_notifications`+w.where()+" LIMIT "+strconv.Itoa(markBatch)+`)
		RETURNING notification_type, high_priority, 0, -1, CASE WHEN id > `+seen+" THEN -1 ELSE 0 END", w.args...)
	if err != nil {
		return 0, err
	}
	for _, g := range together(marked) {
		if err := count(c, in.userID, g); err != nil {
			return 0, err
		}
	}
	return len(marked), nil
}

// types selects notifications of some types, or all if there are none.
func (w *conditions) types(types []int) {
	if len(types) == 0 {
		return
	}
	w.parts = append(w.parts, "notification_type IN ("+list(len(w.args)+1, len(types))+")")
	for _, t := range types {
		w.args = append(w.args, t)
	}
}

// together sums groups of the same type and priority, in the order of their first ones.
func together(groups []group) []group {
	var sums []group
	for _, g := range groups {
		i := slices.IndexFunc(sums, func(s group) bool { return s.kind == g.kind && s.urgent == g.urgent })
		if i < 0 {
			sums = append(sums, g)
			continue
		}
		sums[i].total += g.total
		sums[i].unread += g.unread
		sums[i].fresh += g.fresh
	}
	return sums
}
