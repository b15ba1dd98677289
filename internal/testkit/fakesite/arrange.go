package fakesite

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/outbox"
	"userkeys/server/page"
	"userkeys/site"
)

// NewPinned is [New] with settings that its configuration pins.
func NewPinned(t *testing.T, pinned map[string]string) *Site {
	t.Helper()
	return open(t, pinned, withoutInbox)
}

// NewWithKeys is a site where alice has keys 1 to 4 and bob has 5.
func NewWithKeys(t *testing.T) *Site {
	t.Helper()
	return New(t).withKeys()
}

// NewWithInbox is [NewWithKeys] with notifications. Its keys may do everything, as often as they like.
func NewWithInbox(t *testing.T, options ...Option) *Site {
	t.Helper()
	return NewWithBus(t, append([]Option{withoutBus}, options...)...)
}

// NewWithBus is [NewWithInbox] with a message bus. The bus is told of changes by the test.
func NewWithBus(t *testing.T, options ...Option) *Site {
	t.Helper()
	f := open(t, nil, options...).withKeys()
	f.Exec("UPDATE userkeys_keys SET scopes = 'read,write'")
	for name, value := range map[string]string{
		"allow_user_api_key_scopes": "read|write", "max_user_api_reqs_per_minute": "10000",
		"max_user_api_reqs_per_user_per_minute": "0", "max_user_api_reqs_per_user_per_day": "0",
	} {
		f.Set(name, value)
	}
	return f
}

// NewWithAdminKeys is [NewWithKeys] with key 6, which is root's, and admin API keys of root, alice, mod and anybody.
func NewWithAdminKeys(t *testing.T) *Site {
	t.Helper()
	f := NewWithKeys(t)
	f.AddAdminKeys()
	return f
}

// NewWithPushed is [NewWithKeys] where alice has more keys, 6 to 14, that notifications are pushed to.
func NewWithPushed(t *testing.T) *Site {
	t.Helper()
	f := NewWithKeys(t)
	f.Set("allowed_user_api_push_urls", pushURL)
	_, pem := AppKey()
	for _, k := range pushedKeys() {
		made := f.Add(site.UserAPIKey{
			UserID: Alice.ID, ApplicationName: k.name, Scopes: k.scopes, PushURL: k.url, CreatedAt: ago(page.Day),
			PublicKey: pem, Padding: userkeys.PaddingOAEP, RevokedAt: k.revoked, RevokedBy: site.RevokedByOwner,
		})
		if k.state != (outbox.KeyState{}) {
			f.Pushed(made.ID, k.state)
		}
	}
	return f
}

func ago(d time.Duration) time.Time { return Now.Add(-d) }

const pushURL = "https://push.example/hook"

type pushedKey struct {
	name, url string
	scopes    userkeys.Scopes
	state     outbox.KeyState
	revoked   time.Time
}

func pushedKeys() []pushedKey {
	both := userkeys.Scopes{"notifications", "push"}
	return []pushedKey{
		{name: "Untold", url: pushURL, scopes: both},
		{name: "Works", url: pushURL, scopes: both, state: outbox.KeyState{
			DeliveredAt: ago(2 * time.Minute), FailedAt: ago(page.Day), Problem: outbox.ProblemTimeout,
		}},
		{name: "Fails", url: pushURL, scopes: both, state: outbox.KeyState{
			DeliveredAt: ago(2 * page.Day), FailedAt: ago(time.Minute), FailingSince: ago(3 * time.Hour),
			Problem: "status 503",
		}},
		{name: "Off", url: pushURL, scopes: both, state: outbox.KeyState{
			FailedAt: ago(5 * time.Hour), FailingSince: ago(29 * time.Hour), OffAt: ago(5 * time.Hour),
			Problem: outbox.ProblemGone,
		}},
		{
			name: "Barred", url: "https://elsewhere.example/hook", scopes: both,
			state: outbox.KeyState{DeliveredAt: ago(40 * page.Day)},
		},
		{name: "Unasked", url: pushURL, scopes: userkeys.Scopes{"read"}},
		{name: "Busy", url: pushURL, scopes: both, state: outbox.KeyState{
			DeliveredAt: ago(2 * page.Day), FailedAt: ago(time.Minute), FailingSince: ago(3 * time.Hour),
			Problem: outbox.ProblemBusy,
		}},
		{name: "Hiccup", url: pushURL, scopes: both, state: outbox.KeyState{
			FailedAt: ago(time.Minute), FailingSince: ago(time.Minute), Problem: "status 503",
		}},
		{
			name: "Ended", url: pushURL, scopes: both,
			state:   outbox.KeyState{OffAt: ago(time.Hour), Problem: outbox.ProblemGone},
			revoked: ago(time.Minute),
		},
	}
}

// withKeys adds the keys of [NewWithKeys].
func (f *Site) withKeys() *Site {
	f.T.Helper()
	days := func(n time.Duration) time.Time { return ago(n * page.Day) }
	for _, k := range []site.UserAPIKey{
		{UserID: 1, ApplicationName: "Old", Scopes: userkeys.Scopes{"read"}, CreatedAt: days(100), LastUsedAt: days(40)},
		{
			UserID: 1, ApplicationName: "Never", Scopes: userkeys.Scopes{"read", "push"}, PushURL: "https://push.example/x",
			CreatedAt: days(50),
		},
		{
			UserID: 1, ApplicationName: "Fresh<script>\u202e", Scopes: userkeys.Scopes{"read", "write"}, CreatedAt: days(5),
			LastUsedAt: days(1), ExpiresAt: days(-7),
		},
		{
			UserID: 1, ApplicationName: "Gone", Scopes: userkeys.Scopes{"read"}, CreatedAt: days(3),
			RevokedAt: days(0), RevokedBy: site.RevokedByOwner,
		},
		{UserID: 2, ApplicationName: "Bobs", Scopes: userkeys.Scopes{"read"}, CreatedAt: days(3)},
	} {
		f.Add(k)
	}
	return f
}

// AdminText is the text of the admin API key that acts as a user, or as anybody, made by [Site.AddAdminKey].
func AdminText(username string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(username))) }

// AddAdminKeys adds what [NewWithAdminKeys] has.
func (f *Site) AddAdminKeys() {
	f.T.Helper()
	f.Add(site.UserAPIKey{
		UserID: Root.ID, ApplicationName: "Roots", Scopes: userkeys.Scopes{"read", "write"}, CreatedAt: Now,
	})
	for _, name := range []string{"root", "alice", "mod", ""} {
		f.AddAdminKey(name)
	}
}

// AddAdminKey adds an admin API key that acts as a user; empty: as anybody. It has all permissions, or those that are
// named. Its text is [AdminText] of what it acts as and may.
func (f *Site) AddAdminKey(username string, may ...site.AdminPermission) string {
	f.T.Helper()
	permissions := site.AdminPermissions(may)
	text := AdminText(strings.TrimSpace(username + " " + permissions.String()))
	k := site.AdminAPIKey{
		Description: "for " + username, Hash: userkeys.Key(text).Hash(), Permissions: permissions, CreatedAt: Now,
	}
	if username != "" {
		u, err := f.Account(f.T.Context(), username)
		f.check(err)
		k.UserID = u.User.ID
	}
	_, err := f.CreateAdminKey(f.T.Context(), k, testkit.Command)
	f.check(err)
	f.arranged()
	return text
}

// GoodHost and BadHost are the hosts of [Site.FillOutbox].
const (
	GoodHost = "https://push.example:443"
	BadHost  = "http://10.1.2.3:9000"
)

// FillOutbox adds two hosts: one that works, and one inside that answers 503; three
// deliveries wait (1 to 3) and two were given up (4 and 5).
func (f *Site) FillOutbox() {
	f.T.Helper()
	const bad = "http://10.1.2.3:9000/secret-path"
	f.AddHost(outbox.Host{
		Host: GoodHost, Delivered: 1204, Failed: 3, DeliveredAt: ago(2 * time.Minute), FailedAt: ago(page.Day),
		Problem: outbox.ProblemTimeout,
	}, "https://push.example/x")
	f.AddHost(outbox.Host{
		Host: BadHost, Delivered: 7, Failed: 40, Failures: 12, FailedAt: ago(time.Minute), DeliveredAt: ago(2 * page.Day),
		Problem: "status 503", ClosedUntil: Now.Add(4 * time.Minute), Off: 3,
	}, bad)
	old := outbox.Delivery{
		CreatedAt: ago(2 * page.Day), QueuedAt: ago(2 * page.Day), NextAt: ago(page.Day), DeadAt: ago(page.Day),
	}
	for _, d := range []outbox.Delivery{
		{
			UserID: 1, NotificationID: 11, PushURL: "https://push.example/x", CreatedAt: ago(time.Minute),
			QueuedAt: ago(time.Minute), NextAt: Now,
		},
		{
			UserID: 1, NotificationID: 12, PushURL: bad, CreatedAt: ago(time.Hour), QueuedAt: ago(time.Hour),
			NextAt: Now.Add(4 * time.Minute), Attempt: 3, Problem: "status 503",
		},
		{
			UserID: 2, KeyID: 5, PushURL: bad, CreatedAt: ago(time.Hour), QueuedAt: ago(time.Hour),
			NextAt: Now.Add(time.Minute), Attempt: 1, Problem: outbox.ProblemAddress,
		},
	} {
		f.AddDelivery(d)
	}
	old.UserID, old.NotificationID, old.PushURL, old.Attempt, old.Problem = 2, 13, bad, 14, outbox.ProblemConnection
	f.AddDelivery(old)
	old.UserID, old.NotificationID, old.Attempt, old.Problem = 4, 14, 1, outbox.ProblemGone
	old.PushURL = BadHost + "/<b>\u202eevil"
	f.AddDelivery(old)
}
