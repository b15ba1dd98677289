package server

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/site"
)

// fakeAuthority also knows admin API keys. The text of the one that acts as
// root is adminText("root"), of the one that acts as anybody adminText("").
func adminText(username string) string {
	return strings.Repeat("0", 60) + map[string]string{"": "0000", "root": "0001", "alice": "0002", "mod": "0003"}[username]
}

func (f *fakeAuthority) addAdminKey(username string) {
	k := site.AdminAPIKey{ID: int64(len(f.adminKeys) + 1), Description: "for " + username, Username: username, CreatedAt: testNow}
	for _, u := range []site.User{alice, root, mod} {
		if u.Username == username {
			k.UserID = u.ID
		}
	}
	f.adminKeys = append(f.adminKeys, k)
	f.adminTexts[adminText(username)] = k.ID
}

// addNarrowKey adds a key that acts as anybody, with permissions, and tells its text.
func (f *fakeAuthority) addNarrowKey(may ...site.AdminPermission) string {
	id := int64(len(f.adminKeys) + 1)
	f.adminKeys = append(f.adminKeys, site.AdminAPIKey{ID: id, Description: "narrow", Permissions: may, CreatedAt: testNow})
	text := strings.Repeat("1", 60) + strconv.FormatInt(1000+id, 10)
	f.adminTexts[text] = id
	return text
}

func (f *fakeAuthority) CheckAdminKey(_ context.Context, key, username string) (site.User, site.AdminAPIKey, error) {
	none := site.AdminAPIKey{}
	if f.down != nil {
		return site.User{}, none, f.down
	}
	id, ok := f.adminTexts[key]
	if !ok || !f.adminKeys[id-1].Live(testNow) {
		return site.User{}, none, site.ErrInvalidAdminKey
	}
	if own := f.adminKeys[id-1].Username; own != "" {
		username = own
	}
	for _, u := range []site.User{alice, bob, root, mod} {
		if strings.EqualFold(u.Username, username) {
			return u, f.adminKeys[id-1], nil
		}
	}
	return site.User{}, none, &userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted, Reason: "invalid Api-Username"}
}

func (f *fakeAuthority) CreateAdminKey(_ context.Context, n site.NewAdminAPIKey, by site.Caller) (userkeys.Key, site.AdminAPIKey, error) {
	description, username := n.Description, n.Username
	if by.AdminKey != 0 {
		return "", site.AdminAPIKey{}, userkeys.Errorf(userkeys.InvalidAccess, "no key makes admin API keys")
	}
	f.actors = append(f.actors, by)
	switch {
	case f.down != nil:
		return "", site.AdminAPIKey{}, f.down
	case description == "":
		return "", site.AdminAPIKey{}, userkeys.Errorf(userkeys.MissingParameter, "description is missing")
	case username == "nobody":
		return "", site.AdminAPIKey{}, userkeys.Errorf(userkeys.NotFound, "there is no such user")
	}
	k := site.AdminAPIKey{ID: int64(len(f.adminKeys) + 1), Description: description, Username: username, Permissions: n.Permissions, CreatedAt: testNow, ExpiresAt: n.ExpiresAt}
	if username != "" {
		k.UserID = root.ID
	}
	f.adminKeys = append(f.adminKeys, k)
	text := "newkey" + strconv.FormatInt(k.ID, 10)
	f.adminTexts[text] = k.ID
	return userkeys.Key(text), k, nil
}

func (f *fakeAuthority) AdminKeys(_ context.Context, before int64, limit int) ([]site.AdminAPIKey, error) {
	var out []site.AdminAPIKey
	for _, k := range slices.Backward(f.adminKeys) {
		if (before == 0 || k.ID < before) && len(out) < limit {
			out = append(out, k)
		}
	}
	return out, f.down
}

func (f *fakeAuthority) RevokeAdminKey(_ context.Context, id int64, by site.Caller) error {
	f.actors = append(f.actors, by)
	if id > int64(len(f.adminKeys)) {
		return userkeys.Errorf(userkeys.NotFound, "there is no such admin API key")
	}
	f.adminKeys[id-1].RevokedAt = testNow
	return nil
}

func (f *fakeAuthority) Keys(_ context.Context, fl site.KeyFilter) ([]site.UserAPIKey, error) {
	var out []site.UserAPIKey
	for _, k := range slices.Backward(f.keys) {
		if (fl.UserID == 0 || k.UserID == fl.UserID) && (fl.Before == 0 || k.ID < fl.Before) && (!fl.Live || k.Live(testNow)) && len(out) < fl.Limit {
			out = append(out, k)
		}
	}
	return out, f.down
}

func (f *fakeAuthority) AuditEvents(_ context.Context, before int64, limit int) ([]site.AuditEvent, error) {
	var out []site.AuditEvent
	for _, e := range slices.Backward(f.events) {
		if (before == 0 || e.ID < before) && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, f.down
}

// fakeUsers are the accounts of the four users; it remembers who did what.
type fakeUsers struct {
	users []site.User
	done  []string
}

var _ UserAdmin = (*fakeUsers)(nil)

func (f *fakeUsers) note(what string, by site.Caller) {
	f.done = append(f.done, what+" by "+strconv.FormatInt(by.User.ID, 10)+" "+string(by.Kind()))
}

func (f *fakeUsers) Create(_ context.Context, n site.NewUser, by site.Caller) (site.User, error) {
	f.note("create "+n.Username+" "+n.Password, by)
	u := site.User{
		ID: int64(len(f.users) + 1), Username: n.Username, Name: n.Name, Email: n.Email, TrustLevel: n.TrustLevel,
		Admin: n.Admin, Moderator: n.Moderator, Active: !n.Inactive, Groups: n.Groups,
	}
	f.users = append(f.users, u)
	return u, nil
}

func (f *fakeUsers) find(fit func(site.User) bool) (*site.User, error) {
	i := slices.IndexFunc(f.users, fit)
	if i < 0 {
		return &site.User{}, userkeys.Errorf(userkeys.NotFound, "there is no user of that name")
	}
	return &f.users[i], nil
}

func (f *fakeUsers) User(_ context.Context, id int64) (site.User, error) {
	u, err := f.find(func(u site.User) bool { return u.ID == id })
	return *u, err
}

func (f *fakeUsers) FindUser(_ context.Context, name string) (site.User, error) {
	u, err := f.find(func(u site.User) bool { return strings.EqualFold(u.Username, name) })
	return *u, err
}

func (f *fakeUsers) FindUsers(_ context.Context, fl site.UserFilter) ([]site.User, error) {
	var out []site.User
	for _, u := range f.users {
		if u.ID > fl.After && strings.Contains(u.Username, fl.Text) && len(out) < fl.Limit {
			out = append(out, u)
		}
	}
	return out, nil
}

func (f *fakeUsers) Update(_ context.Context, id int64, change func(*site.User), by site.Caller) (site.User, error) {
	f.note("update", by)
	u, err := f.find(func(u site.User) bool { return u.ID == id })
	if err == nil {
		change(u)
	}
	return *u, err
}

func (f *fakeUsers) Suspend(ctx context.Context, id int64, by site.Caller) (site.User, error) {
	return f.Update(ctx, id, func(u *site.User) { u.SuspendedAt = testNow }, by)
}

func (f *fakeUsers) Unsuspend(ctx context.Context, id int64, by site.Caller) (site.User, error) {
	return f.Update(ctx, id, func(u *site.User) { u.SuspendedAt = site.User{}.SuspendedAt }, by)
}

func (f *fakeUsers) SetPassword(_ context.Context, id int64, password string, by site.Caller) error {
	f.note("password "+strconv.FormatInt(id, 10)+" "+password, by)
	return nil
}

func (f *fakeUsers) Delete(_ context.Context, id int64, by site.Caller) error {
	f.note("delete "+strconv.FormatInt(id, 10), by)
	return nil
}
