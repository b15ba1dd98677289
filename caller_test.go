package userkeys_test

import (
	"testing"

	"userkeys"
)

// An administrator may act on what belongs to others, but no app may that they gave a key or a session.
func TestCaller(t *testing.T) {
	t.Parallel()
	root, ada := userkeys.User{ID: 3, Admin: true}, userkeys.User{ID: 4}
	access := userkeys.Access{KeyID: 9, UserID: 3, Standing: &userkeys.Standing{Admin: true}}
	for _, tt := range []struct {
		name  string
		c     userkeys.Caller
		kind  userkeys.CallerKind
		admin bool
	}{
		{"nobody", userkeys.Caller{}, userkeys.CallerSystem, false},
		{"user", userkeys.Caller{User: ada}, userkeys.CallerUser, false},
		{"administrator", userkeys.Caller{User: root}, userkeys.CallerUser, true},
		{"app in a session", userkeys.Caller{User: root, Session: userkeys.Session{App: "Viewer"}}, userkeys.CallerUser, false},
		{"user API key", userkeys.KeyCaller(access, "192.0.2.1"), userkeys.CallerKey, false},
		{"user API key of a stranger", userkeys.KeyCaller(userkeys.Access{}, ""), userkeys.CallerSystem, false},
		{"admin API key", userkeys.Caller{User: root, AdminKey: 7}, userkeys.CallerAdminKey, true},
		{"admin API key as a user", userkeys.Caller{User: ada, AdminKey: 7}, userkeys.CallerAdminKey, false},
		{"command", userkeys.Caller{As: userkeys.CallerCommand, User: userkeys.User{Admin: true}}, userkeys.CallerCommand, true},
	} {
		if tt.c.Kind() != tt.kind || tt.c.Admin() != tt.admin {
			t.Errorf("%s: %q, administrator %v; want %q, %v", tt.name, tt.c.Kind(), tt.c.Admin(), tt.kind, tt.admin)
		}
	}
}
