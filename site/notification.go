package site

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"userkeys"
)

// Bounds of a notification.
const (
	maxNotificationType  = 9999
	maxNotificationTitle = 1500 // 255 characters, escaped
	maxNotificationSlug  = 255
	maxNotificationData  = 8 << 10
	// MaxNotificationUsers is how many users one call may tell something.
	MaxNotificationUsers = 1000
)

// Notification is one line of a user's list, in the words of the wire (W17).
type Notification struct {
	ID           int64
	UserID       int64
	Type         int // Discourse's number: 1 mentioned, 2 replied, 6 private message, ...
	Read         bool
	HighPriority bool
	TopicID      int64 // 0: none
	PostNumber   int   // 0: none
	Slug         string
	FancyTitle   string          // HTML, as apps show it
	Data         json.RawMessage // an object
	CreatedAt    time.Time
	// Position is the version that the user's inbox got with this notification. It
	// is set by the store. Ids may come again when a database was brought back as an older copy; positions do not.
	Position int64
}

// Check returns an error that says why n cannot be written: a member is missing, too long or not what it must be.
func (n Notification) Check() error {
	switch {
	case n.Type < 1 || n.Type > maxNotificationType:
		return invalid("notification_type must be a name such as mentioned, or a number from 1 to %d", maxNotificationType)
	case n.TopicID < 0 || n.PostNumber < 0:
		return invalid("topic_id and post_number must be positive numbers, or left out")
	case len(n.Slug) > maxNotificationSlug || !userkeys.IsText(n.Slug):
		return invalid("slug must be text of at most %d bytes", maxNotificationSlug)
	case len(n.FancyTitle) > maxNotificationTitle || !userkeys.IsText(n.FancyTitle):
		return invalid("fancy_title must be text of one line and at most %d bytes", maxNotificationTitle)
	case len(n.Data) > maxNotificationData:
		return invalid("data is larger than %d bytes", maxNotificationData)
	case len(n.Data) == 0 || n.Data[0] != '{' || !json.Valid(n.Data) || !userkeys.IsStorable(string(n.Data)):
		return invalid("data must be a JSON object")
	}
	return nil
}

// NotificationFilter says which of a user's notifications are meant.
type NotificationFilter struct {
	UserID int64
	Read   bool  // only those that are read
	Unread bool  // only those that are not
	Types  []int // only these; nil: all
	// UrgentFirst puts what has high priority before the rest, among those that are not read; else the newest come first.
	UrgentFirst bool
	Before      int64 // only ids below this one: the next page; 0: from the newest on
	After       int64 // only ids above this one, the oldest first; 0: no such bound, the newest first
	Offset      int   // leave out so many
	Limit       int
}

// NotificationCounts is how many of a user's notifications wait.
type NotificationCounts struct {
	// SeenID is the newest notification when the user looked at the list last;
	// what came after it counts as new.
	SeenID       int64
	New          int // not read and new
	NewMessages  int // ... private messages among them
	NewOrdinary  int // ... those without high priority
	UnreadUrgent int // not read, with high priority, also those seen already
	Unread       int // not read, also those seen already
	// UnreadByType is Unread by type, of the types that have any.
	UnreadByType map[int]int
}

// NotificationsToRead says which notifications somebody has read: the one of ID,
// or those of Types, or all.
type NotificationsToRead struct {
	UserID int64
	ID     int64 // 0: not one
	Types  []int
}

// UserStatus is the line that a user shows beside their name.
type UserStatus struct {
	Emoji       string
	Description string
	SetAt       time.Time
	EndsAt      time.Time // zero: until changed
}

// The types that this package treats in a way of their own: private messages are counted separately, and a
// message without a type of Discourse's is custom.
const (
	NotificationPrivateMessage = 6
	NotificationCustom         = 14
)

// notificationTypes are Discourse's types by name, its plugins' among them.
var notificationTypes = map[string]int{
	"mentioned": 1, "replied": 2, "quoted": 3, "edited": 4, "liked": 5,
	"private_message": NotificationPrivateMessage, "invited_to_private_message": 7,
	"invitee_accepted": 8, "posted": 9, "moved_post": 10, "linked": 11, "granted_badge": 12,
	"invited_to_topic": 13, "custom": NotificationCustom, "group_mentioned": 15,
	"group_message_summary": 16, "watching_first_post": 17, "topic_reminder": 18,
	"liked_consolidated": 19, "post_approved": 20, "code_review_commit_approved": 21,
	"membership_request_accepted": 22, "membership_request_consolidated": 23, "bookmark_reminder": 24,
	"reaction": 25, "votes_released": 26, "event_reminder": 27, "event_invitation": 28,
	"chat_mention": 29, "chat_message": 30, "chat_invitation": 31, "chat_group_mention": 32,
	"chat_quoted": 33, "assigned": 34, "question_answer_user_commented": 35,
	"watching_category_or_tag": 36, "new_features": 37, "admin_problems": 38, "linked_consolidated": 39,
	"chat_watched_thread": 40, "upcoming_change_available": 41,
	"upcoming_change_automatically_promoted": 42, "boost": 43, "suggested_edit_created": 44,
	"suggested_edit_accepted": 45, "following": 800, "following_created_topic": 801,
	"following_replied": 802, "circles_activity": 900,
}

// ParseNotificationType reads a type by Discourse's name of it, or by its number, from 1 to 9999: Discourse adds
// types whose names are not known here. Errors: [userkeys.InvalidParameters].
func ParseNotificationType(name string) (int, error) {
	n, ok := notificationTypes[name]
	if number, err := strconv.Atoi(name); err == nil && 0 < number && number <= maxNotificationType &&
		strconv.Itoa(number) == name {
		n, ok = number, true
	}
	if !ok {
		return 0, invalid("there is no notification type %s; give a name such as mentioned, or a number "+
			"from 1 to %d", strconv.QuoteToASCII(cutText(name, 64)), maxNotificationType)
	}
	return n, nil
}

// urgentTypes have high priority by themselves.
var urgentTypes = []int{NotificationPrivateMessage, notificationTypes["bookmark_reminder"]}

// UrgentType reports whether notifications of a type have high priority by themselves.
func UrgentType(n int) bool { return slices.Contains(urgentTypes, n) }

// unpushedTypes are the types that are not pushed. Discourse pushes none of them either.
var unpushedTypes = []int{
	notificationTypes["edited"], notificationTypes["liked"], notificationTypes["invitee_accepted"],
	notificationTypes["moved_post"], notificationTypes["granted_badge"], notificationTypes["group_message_summary"],
	notificationTypes["liked_consolidated"], notificationTypes["membership_request_consolidated"],
	notificationTypes["reaction"],
	notificationTypes["new_features"], notificationTypes["admin_problems"], notificationTypes["linked_consolidated"],
}

// PushedType reports whether notifications of a type are pushed, unless whoever
// makes one says otherwise: mentions, replies, messages, chat and the like, and every type that a site made up.
func PushedType(n int) bool { return !slices.Contains(unpushedTypes, n) }

func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
