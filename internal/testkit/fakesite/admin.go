package fakesite

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/server"
	"userkeys/site"
)

// AdminText also knows admin API keys. The text of the one that acts as
// root is adminText("root"), of the one that acts as anybody adminText("").
func AdminText(username string) string {
	return strings.Repeat("0", 60) + map[string]string{
		"": "0000", "root": "0001", "alice": "0002",
		"mod": "0003",
	}[username]
}

func (f *fakeAuthority) AddAdminKey(username string) {
	k := site.AdminAPIKey{
		ID: int64(len(f.AdminAPIKeys) + 1), Description: "for " + username, Username: username,
		CreatedAt: Now,
	}
	for _, u := range []site.User{Alice, Root, Mod} {
		if u.Username == username {
			k.UserID = u.ID
		}
	}
	f.AdminAPIKeys = append(f.AdminAPIKeys, k)
	f.AdminTexts[AdminText(username)] = k.ID
}

// AddNarrowKey adds a key that acts as anybody, with permissions, and tells its text.
func (f *fakeAuthority) AddNarrowKey(may ...site.AdminPermission) string {
	id := int64(len(f.AdminAPIKeys) + 1)
	f.AdminAPIKeys = append(f.AdminAPIKeys, site.AdminAPIKey{
		ID: id, Description: "narrow", Permissions: may,
		CreatedAt: Now,
	})
	text := strings.Repeat("1", 60) + strconv.FormatInt(1000+id, 10)
	f.AdminTexts[text] = id
	return text
}

func (f *fakeAuthority) CheckAdminKey(_ context.Context, key, username string) (site.User, site.AdminAPIKey, error) {
	none := site.AdminAPIKey{}
	if f.Down != nil {
		return site.User{}, none, f.Down
	}
	id, ok := f.AdminTexts[key]
	if !ok || !f.AdminAPIKeys[id-1].Live(Now) {
		return site.User{}, none, site.ErrInvalidAdminKey
	}
	if own := f.AdminAPIKeys[id-1].Username; own != "" {
		username = own
	}
	for _, u := range []site.User{Alice, Bob, Root, Mod} {
		if strings.EqualFold(u.Username, username) {
			return u, f.AdminAPIKeys[id-1], nil
		}
	}
	return site.User{}, none, &userkeys.Error{
		Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted,
		Reason: "invalid Api-Username",
	}
}

func (f *fakeAuthority) CreateAdminKey(
	_ context.Context, n site.NewAdminAPIKey, by site.Caller,
) (userkeys.Key, site.AdminAPIKey, error) {
	description, username := n.Description, n.Username
	if by.AdminKey != 0 {
		return "", site.AdminAPIKey{}, userkeys.Errorf(userkeys.InvalidAccess, "no key makes admin API keys")
	}
	f.Actors = append(f.Actors, by)
	switch {
	case f.Down != nil:
		return "", site.AdminAPIKey{}, f.Down
	case description == "":
		return "", site.AdminAPIKey{}, userkeys.Errorf(userkeys.MissingParameter, "description is missing")
	case username == "nobody":
		return "", site.AdminAPIKey{}, userkeys.Errorf(userkeys.NotFound, "there is no such user")
	}
	k := site.AdminAPIKey{
		ID: int64(len(f.AdminAPIKeys) + 1), Description: description, Username: username,
		Permissions: n.Permissions, CreatedAt: Now, ExpiresAt: n.ExpiresAt,
	}
	if username != "" {
		k.UserID = Root.ID
	}
	f.AdminAPIKeys = append(f.AdminAPIKeys, k)
	text := "newkey" + strconv.FormatInt(k.ID, 10)
	f.AdminTexts[text] = k.ID
	return userkeys.Key(text), k, nil
}

func (f *fakeAuthority) AdminKeys(_ context.Context, before int64, limit int) ([]site.AdminAPIKey, error) {
	var out []site.AdminAPIKey
	for _, k := range slices.Backward(f.AdminAPIKeys) {
		if (before == 0 || k.ID < before) && len(out) < limit {
			out = append(out, k)
		}
	}
	return out, f.Down
}

func (f *fakeAuthority) RevokeAdminKey(_ context.Context, id int64, by site.Caller) error {
	f.Actors = append(f.Actors, by)
	if id > int64(len(f.AdminAPIKeys)) {
		return userkeys.Errorf(userkeys.NotFound, "there is no such admin API key")
	}
	f.AdminAPIKeys[id-1].RevokedAt = Now
	return nil
}

func (f *fakeAuthority) Keys(_ context.Context, fl site.KeyFilter) ([]site.UserAPIKey, error) {
	var out []site.UserAPIKey
	for _, k := range slices.Backward(f.UserKeys) {
		if (fl.UserID == 0 || k.UserID == fl.UserID) && (fl.Before == 0 || k.ID < fl.Before) && (!fl.Live || k.Live(Now)) &&
			len(out) < fl.Limit {
			out = append(out, k)
		}
	}
	return out, f.Down
}

func (f *fakeAuthority) AuditEvents(_ context.Context, before int64, limit int) ([]site.AuditEvent, error) {
	var out []site.AuditEvent
	for _, e := range slices.Backward(f.Events) {
		if (before == 0 || e.ID < before) && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, f.Down
}

// fakeUsers are the accounts of the four users; it remembers who did what.
type fakeUsers struct {
	All  []site.User
	Done []string
}

var _ server.UserAdmin = (*fakeUsers)(nil)

func (f *fakeUsers) Note(what string, by site.Caller) {
	f.Done = append(f.Done, what+" by "+strconv.FormatInt(by.User.ID, 10)+" "+string(by.Kind()))
}

func (f *fakeUsers) Create(_ context.Context, n site.NewUser, by site.Caller) (site.User, error) {
	f.Note("create "+n.Username+" "+n.Password, by)
	u := site.User{
		ID: int64(len(f.All) + 1), Username: n.Username, Name: n.Name, Email: n.Email, TrustLevel: n.TrustLevel,
		Admin: n.Admin, Moderator: n.Moderator, Active: !n.Inactive, Groups: n.Groups,
	}
	f.All = append(f.All, u)
	return u, nil
}

func (f *fakeUsers) Find(fit func(site.User) bool) (*site.User, error) {
	i := slices.IndexFunc(f.All, fit)
	if i < 0 {
		return &site.User{}, userkeys.Errorf(userkeys.NotFound, "there is no user of that name")
	}
	return &f.All[i], nil
}

func (f *fakeUsers) User(_ context.Context, id int64) (site.User, error) {
	u, err := f.Find(func(u site.User) bool { return u.ID == id })
	return *u, err
}

func (f *fakeUsers) FindUser(_ context.Context, name string) (site.User, error) {
	u, err := f.Find(func(u site.User) bool { return strings.EqualFold(u.Username, name) })
	return *u, err
}

func (f *fakeUsers) FindUsers(_ context.Context, fl site.UserFilter) ([]site.User, error) {
	var out []site.User
	for _, u := range f.All {
		if u.ID > fl.After && strings.Contains(u.Username, fl.Text) && len(out) < fl.Limit {
			out = append(out, u)
		}
	}
	return out, nil
}

func (f *fakeUsers) Update(_ context.Context, id int64, change func(*site.User), by site.Caller) (site.User, error) {
	f.Note("update", by)
	u, err := f.Find(func(u site.User) bool { return u.ID == id })
	if err == nil {
		change(u)
	}
	return *u, err
}

func (f *fakeUsers) Suspend(ctx context.Context, id int64, by site.Caller) (site.User, error) {
	return f.Update(ctx, id, func(u *site.User) { u.SuspendedAt = Now }, by)
}

func (f *fakeUsers) Unsuspend(ctx context.Context, id int64, by site.Caller) (site.User, error) {
	return f.Update(ctx, id, func(u *site.User) { u.SuspendedAt = site.User{}.SuspendedAt }, by)
}

func (f *fakeUsers) SetPassword(_ context.Context, id int64, password string, by site.Caller) error {
	f.Note("password "+strconv.FormatInt(id, 10)+" "+password, by)
	return nil
}

func (f *fakeUsers) Delete(_ context.Context, id int64, by site.Caller) error {
	f.Note("delete "+strconv.FormatInt(id, 10), by)
	return nil
}
