package server

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/notify"
	"userkeys/site"
)

// notificationRoutes are the notifications of a user.
func (s *Server) notificationRoutes() []route {
	if s.cfg.Inbox == nil {
		return nil
	}
	all := []route{{"POST /user-api-key/admin/notifications.json", ownBody.needing(site.AdminNotify), administrator, "admin/notifications/create", s.notifyUsers}}
	if !s.endpoints() {
		return all
	}
	all = append(all, route{"POST /admin/notifications.json", ownBody.needing(site.AdminNotify), administrator, "admin/notifications/create", s.notifyUsers})
	for _, end := range []string{"", ".json"} {
		all = append(all,
			route{"GET /notifications" + end, current.needing(site.AdminNotify), anyone, "notifications/index", s.notifications},
			route{"GET /notifications/totals" + end, current.needing(site.AdminNotify), anyone, "notifications/totals", s.notificationTotals},
			route{"PUT /notifications/mark-read" + end, bodied.forAppSessions(), anyone, "notifications/mark_read", s.markRead},
			route{"PUT /notifications/read" + end, bodied.forAppSessions(), anyone, "notifications/mark_read", s.markOneRead})
	}
	return all
}

func notificationsJSON(list []site.Notification) []notify.JSON {
	out := make([]notify.JSON, len(list)) // never null
	for i, n := range list {
		out[i] = notify.NewJSON(n)
	}
	return out
}

// known is nil, null in JSON, for what is not there.
func known[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}

// wireTime writes a time as Discourse does.
func wireTime(t time.Time) string { return notify.WireTime(t) }

// asker is who asks, at a browser or with a key.
type asker struct {
	id        int64
	username  string
	admin     bool
	moderator bool
	keyed     bool // with a user's API key, which stands for its owner only
}

func (a asker) staff() bool { return a.admin || a.moderator }

// askerOf tells who sends r; nobody is refused as the wire does.
func askerOf(r *http.Request, v site.Visitor) (asker, error) {
	if access, ok := userkeys.FromContext(r.Context()); ok {
		return asker{access.UserID, access.Username, access.Admin, access.Moderator, true}, nil
	}
	if !v.SignedIn() {
		return asker{}, userkeys.Errorf(userkeys.NotLoggedIn, "You need to be logged in to do that.")
	}
	return asker{v.User.ID, v.User.Username, v.User.Admin, v.User.Moderator, false}, nil
}

// notifications lists notifications: page by page, or with recent=true as a menu shows them.
func (s *Server) notifications(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	who, err := askerOf(r, v)
	if err != nil {
		return err
	}
	q, err := queryFields(r)
	if err != nil {
		return err
	}
	recent := q.Get("recent") != ""
	f, err := parseNotificationFilter(q, recent)
	if err != nil {
		return err
	}
	owner, err := s.notifiedUser(r, q, who)
	if err != nil {
		return err
	}
	f.UserID = owner.ID
	if recent {
		return s.recentNotifications(w, r, f, who, q.Has("silent"))
	}
	l, err := s.cfg.Inbox.Page(r.Context(), f)
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{
		"notifications": notificationsJSON(l.Notifications), "total_rows_notifications": l.Total, "seen_notification_id": l.SeenID,
		"load_more_notifications": loadMore(q, f, l, owner.Username),
	})
}

func (s *Server) recentNotifications(w http.ResponseWriter, r *http.Request, f site.NotificationFilter, who asker, silent bool) error {
	l, err := s.cfg.Inbox.Recent(r.Context(), f, silent || f.UserID != who.id)
	if err != nil {
		return err
	}
	answer := map[string]any{"notifications": notificationsJSON(l.Notifications), "seen_notification_id": l.SeenID}
	if who.staff() {
		answer["pending_reviewables"] = []string{}
	}
	return writeJSON(w, answer)
}

// notifiedUser is whose notifications are asked for: one's own, or those that a member of staff names.
func (s *Server) notifiedUser(r *http.Request, q url.Values, who asker) (site.User, error) {
	name := q.Get("username")
	switch {
	case !q.Has("username") || strings.EqualFold(name, who.username):
		return site.User{ID: who.id, Username: who.username}, nil
	case who.keyed:
		return site.User{}, &userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted, Reason: "a key reads its owner's notifications"}
	case !who.staff() || s.cfg.Users == nil:
		return site.User{}, userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	return s.cfg.Users.UserNamed(r.Context(), name)
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

// wholeNumber reads plain digits; absent is what it is by default.
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

// positiveID reads plain digits of a number that an id can be (DB5).
func positiveID(q url.Values, name string) (int64, error) {
	text := q.Get(name)
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 || strconv.FormatInt(id, 10) != text {
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
func (s *Server) notificationTotals(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	who, err := askerOf(r, v)
	if err != nil {
		return err
	}
	counts, err := s.cfg.Inbox.Counts(r.Context(), who.id)
	if err != nil {
		return err
	}
	name, err := s.fullName(r, v, who)
	if err != nil {
		return err
	}
	t := totalsJSON{
		ID: who.id, Username: who.username, Name: known(name), Avatar: s.assets.url("avatar.svg"),
		UnreadNotifications: counts.New - counts.NewMessages, UnreadPersonalMessages: counts.NewMessages,
		TopicTracking: map[string]int{"new": 0, "unread": 0},
	}
	if who.staff() {
		t.GroupInboxes = &[]string{}
	}
	return writeJSON(w, t)
}

// markRead marks one notification as read, those of some types, or all.
func (s *Server) markRead(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	return s.mark(w, r, v, func(fields url.Values, m *site.NotificationMark) (err error) {
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
func (s *Server) markOneRead(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	return s.mark(w, r, v, func(fields url.Values, m *site.NotificationMark) (err error) {
		if !fields.Has("id") {
			return userkeys.Errorf(userkeys.MissingParameter, "id is missing: which notification was read")
		}
		m.ID, err = positiveID(fields, "id")
		return err
	})
}

func (s *Server) mark(w http.ResponseWriter, r *http.Request, v site.Visitor, which func(url.Values, *site.NotificationMark) error) error {
	who, err := askerOf(r, v)
	if err != nil {
		return err
	}
	fields, err := readFields(w, r)
	if err != nil {
		return err
	}
	m := site.NotificationMark{UserID: who.id}
	if err := which(fields, &m); err != nil {
		return err
	}
	if err := s.cfg.Inbox.MarkRead(r.Context(), m); err != nil {
		return err
	}
	return success(w)
}
