package notify

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"userkeys/site"
)

// The channels of a user, before their id.
const (
	CountsChannel = "/notification/"       // how much waits; only the newest state is ever sent
	AlertsChannel = "/notification-alert/" // each notification, as [Alert] has it
	// StatusChannel tells the positions of channels that were asked for without one.
	StatusChannel = "/__status"
)

// newestNotes is how many notifications are read for a message. It is also the longest backlog of alerts: a list
// shows older ones better.
const newestNotes = 30

// Subscription is a channel and the position that the subscriber knows. Messages above Position are new. At -1 the
// subscriber asks for the position of the channel, at -2 for its last message too, at -3 for the last two, and so on.
type Subscription struct {
	Channel  string
	Position int64
}

// Message is a message of a channel.
type Message struct {
	GlobalID  int64  `json:"global_id"`
	MessageID int64  `json:"message_id"`
	Channel   string `json:"channel"`
	Data      any    `json:"data"`
}

// Read returns what is new on subscriptions of a user, and moves their positions on. It is for polls that do not
// wait. It returns the error of ctx if reading takes longer than ctx.
func (b *Bus) Read(ctx context.Context, userID int64, subs []Subscription) ([]Message, error) {
	messages, _, err := b.read(ctx, userID, subs)
	return messages, err
}

// readNow is Read in the caller's goroutine. It also returns the version of the inbox at that moment.
func (b *Bus) readNow(ctx context.Context, userID int64, subs []Subscription) ([]Message, int64, error) {
	state, err := b.cfg.Store.InboxState(ctx, userID)
	if err != nil {
		return nil, 0, err
	}
	r := reading{
		store: b.cfg.Store, origin: b.cfg.Origin, userID: userID, state: state, own: strconv.FormatInt(userID, 10),
	}
	var messages []Message
	status := map[string]int64{}
	for i := range subs {
		news, unknown, err := r.news(ctx, &subs[i])
		if err != nil {
			return nil, 0, err
		}
		if unknown {
			status[subs[i].Channel] = subs[i].Position
		}
		messages = append(messages, news...)
	}
	if len(status) > 0 {
		messages = append(messages, Message{-1, -1, StatusChannel, status})
	}
	return messages, state.Version, nil
}

// reading is one look at one inbox.
type reading struct {
	store  BusStore
	origin string // the site's own
	userID int64
	own    string // the user's id
	state  site.Inbox
	newest []site.Notification // see list
	listed bool
}

// news returns what is new on a channel, and moves the subscription on. unknown reports that the subscriber did not
// know the position of the channel, or that its position was above it because the channel began again. A channel of
// another user has nothing, not even a position. A channel that this site does not have stands at 0, so that apps of
// Discourse go on.
func (r *reading) news(ctx context.Context, s *Subscription) (messages []Message, unknown bool, err error) {
	read, end := r.counts, r.state.Version
	switch owner, kind := r.owner(s.Channel); {
	case kind == "":
		read, end = nothing, 0
	case owner != r.own:
		return nil, false, nil
	case kind == AlertsChannel:
		read, end = r.alerts, r.state.Position
	}
	from := s.Position
	switch {
	case from == -1 || from > end:
		s.Position = end
		return nil, true, nil
	case from == end:
		return nil, false, nil
	}
	messages, err = read(ctx, s.Channel, from)
	if err != nil {
		return nil, false, err
	}
	s.Position = end
	if n := len(messages); n > 0 {
		s.Position = max(end, messages[n-1].MessageID)
	}
	return messages, false, nil
}

// owner splits the name of a channel of a user. kind is empty for any other channel.
func (r *reading) owner(channel string) (owner, kind string) {
	for _, kind := range []string{AlertsChannel, CountsChannel} {
		if owner, ok := strings.CutPrefix(channel, kind); ok {
			return owner, kind
		}
	}
	return "", ""
}

func nothing(context.Context, string, int64) ([]Message, error) { return nil, nil }

// counts returns the one message of the channel of counts, with the present state.
func (r *reading) counts(ctx context.Context, channel string, _ int64) ([]Message, error) {
	list, err := r.list(ctx)
	if err != nil || r.state.Version == 0 {
		return nil, err
	}
	return []Message{{r.state.Version, r.state.Version, channel, newCounts(r.state.Counts, list)}}, nil
}

// alerts returns the notifications above a position, oldest first. Of many it returns the newest [newestNotes]. The
// positions of one user are in the order in which they became visible, so none is skipped.
func (r *reading) alerts(ctx context.Context, channel string, from int64) ([]Message, error) {
	list, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	if from < -1 {
		list = list[:min(int64(len(list)), -1-from)]
	}
	var messages []Message
	for _, n := range slices.Backward(list) {
		if n.Position > from {
			messages = append(messages, Message{r.state.Version, n.Position, channel, Alert(n, r.origin)})
		}
	}
	return messages, nil
}

// list returns the newest notifications, newest first. They are read once.
func (r *reading) list(ctx context.Context) ([]site.Notification, error) {
	if r.listed {
		return r.newest, nil
	}
	var err error
	r.newest, err = r.store.Notifications(ctx, site.NotificationFilter{UserID: r.userID, Limit: newestNotes})
	r.listed = err == nil
	return r.newest, err
}

// countsJSON is the data of a message on /notification/ID (W7.7).
type countsJSON struct {
	AllUnread   int         `json:"all_unread_notifications_count"`
	NewMessages int         `json:"new_personal_messages_notifications_count"`
	Unread      int         `json:"unread_notifications"`
	Urgent      int         `json:"unread_high_priority_notifications"`
	ByType      map[int]int `json:"grouped_unread_notifications"`
	ReadFirst   bool        `json:"read_first_notification"` // the user has looked at the list once
	Last        *lastJSON   `json:"last_notification"`
	Recent      [][2]any    `json:"recent"` // [id, read], the newest first
	SeenID      int64       `json:"seen_notification_id"`
}

type lastJSON struct {
	Notification JSON `json:"notification"`
}

// newCounts returns the data of a message with counts and the newest notifications.
func newCounts(c site.NotificationCounts, newest []site.Notification) countsJSON {
	out := countsJSON{
		AllUnread: c.New, NewMessages: c.NewMessages, Unread: c.NewOrdinary, Urgent: c.UnreadUrgent,
		ByType: map[int]int{}, ReadFirst: c.SeenID != 0, Recent: [][2]any{}, SeenID: c.SeenID,
	}
	for kind, n := range c.UnreadByType {
		out.ByType[kind] = n
	}
	for i, n := range newest {
		if i == 0 {
			out.Last = &lastJSON{NewJSON(n)}
		}
		out.Recent = append(out.Recent, [2]any{n.ID, n.Read})
	}
	return out
}

// JSON is a notification in the format of the protocol (W17). A value that it lacks is null.
type JSON struct {
	ID           int64           `json:"id"`
	UserID       int64           `json:"user_id"`
	Type         int             `json:"notification_type"`
	Read         bool            `json:"read"`
	HighPriority bool            `json:"high_priority"`
	CreatedAt    string          `json:"created_at"`
	PostNumber   *int            `json:"post_number"`
	TopicID      *int64          `json:"topic_id"`
	FancyTitle   *string         `json:"fancy_title"`
	Slug         *string         `json:"slug"`
	Data         json.RawMessage `json:"data"`
}

// NewJSON returns a notification in the format of the protocol.
func NewJSON(n site.Notification) JSON {
	return JSON{
		ID: n.ID, UserID: n.UserID, Type: n.Type, Read: n.Read, HighPriority: n.HighPriority,
		CreatedAt: WireTime(n.CreatedAt), PostNumber: known(n.PostNumber), TopicID: known(n.TopicID),
		FancyTitle: known(n.FancyTitle), Slug: known(n.Slug), Data: n.Data,
	}
}

// known returns a pointer to v, or nil, which is null in JSON, for the zero value.
func known[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}

// WireTime formats a time as Discourse does.
func WireTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
