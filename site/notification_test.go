package site_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"userkeys"
	"userkeys/site"
)

func TestNotificationTypes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{
		"mentioned": 1, "private_message": 6, "custom": 14, "bookmark_reminder": 24, "chat_mention": 29, "chat_watched_thread": 40, "circles_activity": 900,
		"upcoming_change_available": 41, "upcoming_change_automatically_promoted": 42, "boost": 43, "suggested_edit_created": 44, "suggested_edit_accepted": 45,
		"1": 1, "46": 46, "9999": 9999,
	} {
		if n, err := site.ParseNotificationType(name); err != nil || n != want {
			t.Errorf("%s is %d, want %d: %v", name, n, want, err)
		}
	}
	for _, name := range []string{"", "Mentioned", " mentioned", "0", "01", "-1", "+1", "1.0", "10000", "99999999999999999999", "nothing", "\x00\xff", strings.Repeat("x", 1<<20)} {
		_, err := site.ParseNotificationType(name)
		if !errors.Is(err, userkeys.InvalidParameters) || len(err.Error()) > 500 || strings.Contains(err.Error(), "\x00") {
			t.Errorf("%.20q: %.600v", name, err)
		}
	}
	for kind, want := range map[int]bool{6: true, 24: true, 1: false, 0: false} {
		if site.UrgentType(kind) != want {
			t.Errorf("type %d: %v", kind, !want)
		}
	}
}

func TestPushedType(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"mentioned", "replied", "quoted", "private_message", "posted", "linked", "custom", "group_mentioned", "watching_first_post", "event_reminder",
		"event_invitation", "chat_mention", "chat_message", "chat_invitation", "chat_group_mention", "chat_quoted", "chat_watched_thread", "following_replied", "circles_activity",
	} {
		if n, err := site.ParseNotificationType(name); err != nil || !site.PushedType(n) {
			t.Errorf("%s is not pushed: %v", name, err)
		}
	}
	for _, name := range []string{
		"edited", "liked", "invitee_accepted", "moved_post", "granted_badge", "group_message_summary", "liked_consolidated",
		"membership_request_consolidated", "reaction", "new_features", "admin_problems", "linked_consolidated",
	} {
		if n, err := site.ParseNotificationType(name); err != nil || site.PushedType(n) {
			t.Errorf("%s is pushed: %v", name, err)
		}
	}
	if !site.PushedType(4711) {
		t.Error("a type of a site's own is not pushed")
	}
}

func TestNotificationCheck(t *testing.T) {
	t.Parallel()
	good := site.Notification{Type: 1, Data: json.RawMessage(`{}`)}
	for _, tt := range []struct {
		name string
		edit func(*site.Notification)
		ok   bool
	}{
		{"the least", func(*site.Notification) {}, true},
		{"type 0", func(n *site.Notification) { n.Type = 0 }, false},
		{"type 9999", func(n *site.Notification) { n.Type = 9999 }, true},
		{"type 10000", func(n *site.Notification) { n.Type = 10000 }, false},
		{"topic -1", func(n *site.Notification) { n.TopicID = -1 }, false},
		{"post -1", func(n *site.Notification) { n.PostNumber = -1 }, false},
		{"slug of 255 bytes", func(n *site.Notification) { n.Slug = strings.Repeat("x", 255) }, true},
		{"slug of 256 bytes", func(n *site.Notification) { n.Slug = strings.Repeat("x", 256) }, false},
		{"slug with a line", func(n *site.Notification) { n.Slug = "a\nb" }, false},
		{"title of 1500 bytes", func(n *site.Notification) { n.FancyTitle = strings.Repeat("x", 1500) }, true},
		{"title of 1501 bytes", func(n *site.Notification) { n.FancyTitle = strings.Repeat("x", 1501) }, false},
		{"title that is no text", func(n *site.Notification) { n.FancyTitle = "\xff" }, false},
		{"data of 8 KB", func(n *site.Notification) { n.Data = sized(8 << 10) }, true},
		{"data of 8 KB and a byte", func(n *site.Notification) { n.Data = sized(8<<10 + 1) }, false},
		{"no data", func(n *site.Notification) { n.Data = nil }, false},
		{"data that is a list", func(n *site.Notification) { n.Data = json.RawMessage(`[]`) }, false},
		{"data cut off", func(n *site.Notification) { n.Data = json.RawMessage(`{"a":`) }, false},
		{"data that is no text", func(n *site.Notification) { n.Data = json.RawMessage("{\"a\":\"\xff\"}") }, false},
	} {
		n := good
		tt.edit(&n)
		if err := n.Check(); (err == nil) != tt.ok || err != nil && !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// sized is an object of n bytes.
func sized(n int) json.RawMessage {
	return json.RawMessage(`{"a":"` + strings.Repeat("x", n-8) + `"}`)
}
