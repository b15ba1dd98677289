package wire

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/notify"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

func notificationsJSON(list []site.Notification) []notify.JSON {
	out := make([]notify.JSON, len(list)) // never null
	for i, n := range list {
		out[i] = notify.NewJSON(n)
	}
	return out
}

// notifications lists notifications: page by page, or with recent=true as a menu shows them.
func (h *Handlers) notifications(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	q, err := input.ParseQuery(r)
	if err != nil {
		return err
	}
	recent := q.Get("recent") != ""
	f, err := parseNotificationFilter(q, recent)
	if err != nil {
		return err
	}
	owner, err := h.notifiedUser(r, q, c)
	if err != nil {
		return err
	}
	f.UserID = owner.ID
	if recent {
		return h.recentNotifications(w, r, c, recentFilter{f, q.Has("silent")})
	}
	l, err := h.cfg.Inbox.Page(r.Context(), f)
	if err != nil {
		return err
	}
	return door.WriteJSON(w, map[string]any{
		"notifications": notificationsJSON(l.Notifications), "total_rows_notifications": l.Total,
		"seen_notification_id":    l.SeenID,
		"load_more_notifications": loadMore(q, f, l, owner.Username),
	})
}

// recentFilter is what a menu lists. It marks the list as seen, if it is not silent.
type recentFilter struct {
	site.NotificationFilter
	silent bool
}

func (h *Handlers) recentNotifications(w http.ResponseWriter, r *http.Request, c site.Caller, f recentFilter) error {
	l, err := h.cfg.Inbox.Recent(r.Context(), f.NotificationFilter, f.silent || f.UserID != c.User.ID)
	if err != nil {
		return err
	}
	answer := map[string]any{"notifications": notificationsJSON(l.Notifications), "seen_notification_id": l.SeenID}
	if staff(c.User) {
		answer["pending_reviewables"] = []string{}
	}
	return door.WriteJSON(w, answer)
}

// notifiedUser is whose notifications are asked for: one's own, or those that a member of staff names.
func (h *Handlers) notifiedUser(r *http.Request, q url.Values, c site.Caller) (site.User, error) {
	name := q.Get("username")
	switch {
	case !q.Has("username") || strings.EqualFold(name, c.User.Username):
		return site.User{ID: c.User.ID, Username: c.User.Username}, nil
	case c.Key != 0:
		return site.User{}, &userkeys.Error{
			Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted,
			Reason: "a key reads its owner's notifications",
		}
	case !staff(c.User) || h.cfg.Users == nil:
		return site.User{}, userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	return h.cfg.Users.UserNamed(r.Context(), name)
}

// parseNotificationFilter reads limit, offset, before, filter and filter_by_types.
func parseNotificationFilter(q url.Values, recent bool) (f site.NotificationFilter, err error) {
	f.Limit = notify.MaxPage
	if recent {
		f.Limit = notify.RecentPage
	}
	if f.Limit, err = wholeNumber(q, "limit", f.Limit); err != nil {
		return f, err
	}
	if f.Offset, err = wholeNumber(q, "offset", 0); err != nil {
		return f, err
	}
	if q.Has("before") {
		if f.Before, err = positiveID(q, "before"); err != nil {
			return f, err
		}
	}
	switch filter := q.Get("filter"); filter {
	case "":
	case "read":
		f.Read = true
	case "unread":
		f.Unread = true
	default:
		return f, userkeys.Errorf(userkeys.InvalidParameters, "filter must be read or unread, or left out")
	}
	f.Types, err = parseTypes(q.Get("filter_by_types"))
	return f, err
}

// maxTypes is more names than there are.
const maxTypes = 100

// parseTypes reads Discourse's names of types, separated by commas; none for none.
func parseTypes(names string) ([]int, error) {
	var types []int
	for name := range strings.SplitSeq(names, ",") {
		if names == "" {
			break
		}
		n, err := site.ParseNotificationType(name)
		if err != nil {
			return nil, err
		}
		if types = append(types, n); len(types) > maxTypes {
			return nil, userkeys.Errorf(userkeys.InvalidParameters, "more than %d notification types", maxTypes)
		}
	}
	return types, nil
}

// wholeNumber reads the parameter of that name, which must be decimal digits. It returns absent if there is none.
func wholeNumber(q url.Values, name string, absent int) (int, error) {
	if !q.Has(name) {
		return absent, nil
	}
	text := q.Get(name)
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || strconv.Itoa(n) != text {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "%s must be a whole number", name)
	}
	return n, nil
}

// positiveID reads plain digits of a number that an id can be.
func positiveID(q url.Values, name string) (int64, error) {
	id, ok := input.ParseID(q.Get(name))
	if !ok {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "%s must be the id of a notification", name)
	}
	return id, nil
}

// loadMore is the address of the next page. It goes on below the last id:
// what comes in meanwhile moves no line onto the next page again, as an offset would.
func loadMore(q url.Values, f site.NotificationFilter, l notify.List, username string) string {
	next := url.Values{"limit": {strconv.Itoa(f.Limit)}, "username": {username}}
	for _, name := range []string{"filter", "filter_by_types", "before", "offset"} {
		if value := q.Get(name); value != "" {
			next.Set(name, value)
		}
	}
	if n := len(l.Notifications); n > 0 {
		next.Del("offset")
		next.Set("before", strconv.FormatInt(l.Notifications[n-1].ID, 10))
	}
	return "/notifications?" + next.Encode()
}

// totalsJSON is what an app shows beside its icon (W17).
type totalsJSON struct {
	ID                     int64          `json:"id"`
	Username               string         `json:"username"`
	Name                   *string        `json:"name"`
	Avatar                 string         `json:"avatar_template"`
	UnreadNotifications    int            `json:"unread_notifications"`
	UnreadPersonalMessages int            `json:"unread_personal_messages"`
	UnseenReviewables      int            `json:"unseen_reviewables"`
	TopicTracking          map[string]int `json:"topic_tracking"` // apps read its members without a look
	GroupInboxes           *[]string      `json:"group_inboxes,omitempty"`
}

// notificationTotals counts what is new to the user.
func (h *Handlers) notificationTotals(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	counts, err := h.cfg.Inbox.Counts(r.Context(), c.User.ID)
	if err != nil {
		return err
	}
	name, err := h.fullName(r, c)
	if err != nil {
		return err
	}
	t := totalsJSON{
		ID: c.User.ID, Username: c.User.Username, Name: door.Optional(name), Avatar: h.door.Frame().Asset("avatar.svg"),
		UnreadNotifications: counts.New - counts.NewMessages, UnreadPersonalMessages: counts.NewMessages,
		TopicTracking: map[string]int{"new": 0, "unread": 0},
	}
	if staff(c.User) {
		t.GroupInboxes = &[]string{}
	}
	return door.WriteJSON(w, t)
}

// markRead marks one notification as read, those of some types, or all.
func (h *Handlers) markRead(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	return h.mark(w, r, c, func(fields url.Values, m *site.NotificationsToRead) (err error) {
		switch {
		case fields.Has("id"):
			m.ID, err = positiveID(fields, "id")
		case fields.Has("dismiss_types"):
			if m.Types, err = parseTypes(fields.Get("dismiss_types")); err == nil && len(m.Types) == 0 {
				err = userkeys.Errorf(userkeys.InvalidParameters, "dismiss_types is empty; leave it out to mark all as read")
			}
		}
		return err
	})
}

// markOneRead is the same for one only: without an id it marks nothing.
func (h *Handlers) markOneRead(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	return h.mark(w, r, c, func(fields url.Values, m *site.NotificationsToRead) (err error) {
		if !fields.Has("id") {
			return userkeys.Errorf(userkeys.MissingParameter, "id is missing: which notification was read")
		}
		m.ID, err = positiveID(fields, "id")
		return err
	})
}

func (h *Handlers) mark(w http.ResponseWriter, r *http.Request, c site.Caller,
	which func(url.Values, *site.NotificationsToRead) error,
) error {
	fields, err := input.ReadFields(w, r)
	if err != nil {
		return err
	}
	m := site.NotificationsToRead{UserID: c.User.ID}
	if err := which(fields, &m); err != nil {
		return err
	}
	if err := h.cfg.Inbox.MarkRead(r.Context(), m); err != nil {
		return err
	}
	return door.Success(w)
}
