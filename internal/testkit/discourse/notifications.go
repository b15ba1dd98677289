package discourse

import (
	"fmt"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Notification is something that the site tells a user.
type Notification struct {
	ID           int // given by the site
	UserID       int // given by the site
	Type         int // 0 is 1, a mention
	Read         bool
	HighPriority bool
	CreatedAt    time.Time // zero: now
	TopicID      int       // 0: about no topic
	PostNumber   int
	Title        string
	From         string // who caused it
	Excerpt      string
}

// noteTypes are the kinds of notifications by name.
var noteTypes = map[string]int{
	"mentioned": 1, "replied": 2, "quoted": 3, "edited": 4, "liked": 5,
	"private_message": 6, "invited_to_private_message": 7, "invitee_accepted": 8,
	"posted": 9, "moved_post": 10, "linked": 11, "granted_badge": 12,
}

// Notify tells a user something and returns the notification's id: bus polls
// on the user's channels wake up, and the counts change.
func (s *Site) Notify(name string, n Notification) int {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(name)
	if u == nil {
		s.t.Errorf("discourse: there is no user %q", name)
		return 0
	}
	n.ID, n.UserID, n.Type = s.nextID(), u.ID, max(n.Type, 1)
	n.HighPriority = n.HighPriority || n.Type == noteTypes["private_message"]
	if n.CreatedAt.IsZero() {
		n.CreatedAt = s.Clock.Now()
	}
	s.notes = append(s.notes, &n)
	s.publish(fmt.Sprintf("/notification-alert/%d", u.ID), map[string]any{
		"notification_type": n.Type, "post_number": n.PostNumber, "topic_title": n.Title, "topic_id": n.TopicID,
		"excerpt": n.Excerpt, "username": n.From,
		"post_url": fmt.Sprintf("/t/%s/%d/%d", (&topic{title: n.Title}).slug(), n.TopicID, n.PostNumber),
	}, u)
	s.publishCounts(u)
	return n.ID
}

// Which notifications are counted.
var (
	plainNotes   = func(n *Notification) bool { return !n.HighPriority }
	highNotes    = func(n *Notification) bool { return n.HighPriority }
	privateNotes = func(n *Notification) bool { return n.Type == noteTypes["private_message"] }
	allNotes     = func(*Notification) bool { return true }
)

func (s *Site) unread(u *User, counts func(*Notification) bool) int {
	n := 0
	for _, note := range s.notes {
		if note.UserID == u.ID && !note.Read && counts(note) {
			n++
		}
	}
	return n
}

// publishCounts tells the user's own channel how many are unread.
func (s *Site) publishCounts(u *User) {
	grouped := make(map[string]int)
	for _, n := range s.notes {
		if n.UserID == u.ID && !n.Read {
			grouped[strconv.Itoa(n.Type)]++
		}
	}
	s.publish(fmt.Sprintf("/notification/%d", u.ID), map[string]any{
		"unread_notifications":                      s.unread(u, plainNotes),
		"unread_high_priority_notifications":        s.unread(u, highNotes),
		"all_unread_notifications_count":            s.unread(u, allNotes),
		"new_personal_messages_notifications_count": s.unread(u, privateNotes),
		"grouped_unread_notifications":              grouped,
		"seen_notification_id":                      u.seen,
		"read_first_notification":                   false,
	}, u)
}

func (n *Notification) model() map[string]any {
	m := map[string]any{
		"id": n.ID, "user_id": n.UserID, "notification_type": n.Type, "read": n.Read, "high_priority": n.HighPriority,
		"created_at": longStamp(n.CreatedAt), "post_number": nil, "topic_id": nil, "slug": nil,
		"data": map[string]any{"topic_title": n.Title, "original_username": n.From, "display_username": n.From},
	}
	if n.TopicID != 0 {
		m["topic_id"], m["post_number"], m["slug"] = n.TopicID, n.PostNumber, (&topic{title: n.Title}).slug()
		m["fancy_title"] = html.EscapeString(n.Title)
	}
	return m
}

const (
	maxNotes    = 60
	recentNotes = 15
)

// notifications lists the user's: all, newest first; or with recent=true
// what a menu shows, unread important ones first, which then counts as seen.
func (c *call) notifications() (answer, error) {
	if name := c.param("username"); name != "" && name != c.user.Name {
		return answer{}, errInvalidAccess
	}
	keep, err := c.noteFilter()
	if err != nil {
		return answer{}, err
	}
	var all []*Notification
	for _, n := range slices.Backward(c.s.notes) {
		if n.UserID == c.user.ID && keep(n) {
			all = append(all, n)
		}
	}
	if c.param("recent") == "true" {
		return c.recent(all), nil
	}
	limit, offset := c.numberOr("limit", maxNotes), c.numberOr("offset", 0)
	limit = min(limit, maxNotes)
	shown := all[min(offset, len(all)):]
	return data(map[string]any{
		"notifications":            models(shown[:min(limit, len(shown))]),
		"total_rows_notifications": len(all),
		"seen_notification_id":     c.user.seen,
		"load_more_notifications": fmt.Sprintf(
			"/notifications?limit=%d&offset=%d&username=%s", limit, offset+limit, c.user.Name),
	}), nil
}

func (c *call) noteFilter() (func(*Notification) bool, error) {
	var types []int
	for name := range strings.SplitSeq(c.param("filter_by_types"), ",") {
		if name == "" {
			continue
		}
		if noteTypes[name] == 0 {
			return nil, invalidParameter("filter_by_types")
		}
		types = append(types, noteTypes[name])
	}
	filter := c.param("filter")
	return func(n *Notification) bool {
		return (types == nil || slices.Contains(types, n.Type)) &&
			(filter != "read" || n.Read) && (filter != "unread" || !n.Read)
	}, nil
}

// recent shows the newest and, unless silent, notes that they were seen.
func (c *call) recent(all []*Notification) answer {
	newest := 0
	for _, n := range all {
		newest = max(newest, n.ID)
	}
	slices.SortStableFunc(all, func(a, b *Notification) int { return rank(a) - rank(b) })
	if !c.has("silent") && newest > c.user.seen {
		c.user.seen = newest
		c.s.publishCounts(c.user)
	}
	return data(map[string]any{
		"notifications": models(all[:min(c.numberOr("limit", recentNotes), len(all))]), "seen_notification_id": c.user.seen,
	})
}

func rank(n *Notification) int {
	switch {
	case n.HighPriority && !n.Read:
		return 0
	case !n.Read:
		return 1
	}
	return 2
}

func models(notes []*Notification) []map[string]any {
	out := []map[string]any{}
	for _, n := range notes {
		out = append(out, n.model())
	}
	return out
}

// numberOr is a parameter as a number; other if it is none or negative.
func (c *call) numberOr(name string, other int) int {
	n, err := strconv.Atoi(c.param(name))
	if err != nil || n < 0 {
		return other
	}
	return n
}

func (c *call) totals() (answer, error) {
	m := map[string]any{
		"id": c.user.ID, "username": c.user.Name, "name": c.user.Name, "avatar_template": avatar(c.user),
		"unread_notifications":     c.s.unread(c.user, func(n *Notification) bool { return !privateNotes(n) }),
		"unread_personal_messages": c.s.unread(c.user, privateNotes), "unseen_reviewables": 0,
		"topic_tracking": map[string]int{"new": 0, "unread": 0},
	}
	if c.user.staff() {
		m["group_inboxes"] = []any{}
	}
	return data(m), nil
}

// markRead marks one, those of some kinds, or all.
func (c *call) markRead() (answer, error) {
	kinds := strings.FieldsFunc(c.param("dismiss_types"), func(r rune) bool { return r == ',' })
	for _, k := range kinds {
		if noteTypes[k] == 0 {
			return jsonAnswer(http.StatusBadRequest, map[string]any{
				"errors": []string{"dismiss_types"}, "error_type": "invalid_parameters",
			}), nil
		}
	}
	for _, n := range c.s.notes {
		isKind := func(k string) bool { return noteTypes[k] == n.Type }
		marked := len(kinds) == 0 || slices.ContainsFunc(kinds, isKind)
		if c.has("id") {
			marked = c.param("id") == strconv.Itoa(n.ID)
		}
		if n.UserID == c.user.ID && marked {
			n.Read = true
		}
	}
	c.s.publishCounts(c.user)
	return success, nil
}
