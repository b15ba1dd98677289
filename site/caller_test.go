package site_test

import (
	"testing"

	"userkeys"
	"userkeys/site"
)

// An administrator may act on what belongs to others, but no app may that they gave a key or a session.
func TestCaller(t *testing.T) {
	t.Parallel()
	root, ada := site.User{ID: 3, Admin: true}, site.User{ID: 4}
	access := userkeys.Access{KeyID: 9, UserID: 3, Standing: &userkeys.Standing{Admin: true}}
	for _, tt := range []struct {
		name  string
		c     site.Caller
		kind  site.CallerKind
		admin bool
	}{
		{"nobody", site.Caller{}, site.CallerSystem, false},
		{"user", site.Caller{User: ada}, site.CallerUser, false},
		{"administrator", site.Caller{User: root}, site.CallerUser, true},
		{"app in a session", site.Caller{User: root, Session: site.Session{App: "Viewer"}}, site.CallerUser, false},
		{"user API key", site.KeyCaller(access, "192.0.2.1"), site.CallerKey, false},
		{"user API key of a stranger", site.KeyCaller(userkeys.Access{}, ""), site.CallerSystem, false},
		{"admin API key", site.Caller{User: root, AdminKey: 7}, site.CallerAdminKey, true},
		{"admin API key as a user", site.Caller{User: ada, AdminKey: 7}, site.CallerAdminKey, false},
		{"command", site.Caller{As: site.CallerCommand, User: site.User{Admin: true}}, site.CallerCommand, true},
	} {
		if tt.c.Kind() != tt.kind || tt.c.Admin() != tt.admin {
			t.Errorf("%s: %q, administrator %v; want %q, %v", tt.name, tt.c.Kind(), tt.c.Admin(), tt.kind, tt.admin)
		}
	}
}
