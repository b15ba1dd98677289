package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/internal/rows"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

func answerUser(w http.ResponseWriter, u site.User) error {
	return door.WriteJSON(w, map[string]rows.User{"user": rows.NewUser(u)})
}

// listUsers lists users by id; filter is a part of the user name or the e-mail address.
func (h *Handlers) listUsers(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	q, err := input.ParseListQuery(r, "filter", "after")
	if err != nil {
		return err
	}
	after, err := q.Number("after")
	if err != nil {
		return err
	}
	users, err := h.cfg.Accounts.FindUsers(r.Context(),
		site.UserFilter{Text: q.Get("filter"), After: after, Limit: q.Limit})
	if err != nil {
		return err
	}
	list := make([]rows.User, len(users))
	for i, u := range users {
		list[i] = rows.NewUser(u)
	}
	return door.WriteJSON(w, map[string]any{
		"users": list,
		"next":  door.Next(users, q.Limit, func(u site.User) int64 { return u.ID }),
	})
}

// userFields are what a user may be given; a password is given apart.
var userFields = []string{"username", "name", "email", "trust_level", "admin", "moderator", "active", "groups"}

const passwordField = "password"

// setUserFields sets the fields of u that the request names.
func setUserFields(u *site.User, fields url.Values) error {
	for name, values := range fields {
		var err error
		switch value := values[0]; name {
		case "username":
			u.Username = value
		case "name":
			u.Name = value
		case "email":
			u.Email = value
		case "trust_level":
			if u.TrustLevel, err = strconv.Atoi(value); err != nil {
				err = userkeys.Errorf(userkeys.InvalidParameters, "a trust level is 0 to 4")
			}
		case "admin":
			u.Admin, err = input.Truth(name, value)
		case "moderator":
			u.Moderator, err = input.Truth(name, value)
		case "active":
			u.Active, err = input.Truth(name, value)
		case "groups":
			u.Groups = nil
			if value != "" {
				u.Groups = strings.Split(value, "|")
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *Handlers) createUser(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	fields := r.PostForm
	if err := input.OnlyFields(fields, append(userFields, passwordField)...); err != nil {
		return err
	}
	if _, err := input.Required(fields, "username"); err != nil {
		return err
	}
	u := site.User{TrustLevel: 1, Active: true}
	if err := setUserFields(&u, fields); err != nil {
		return err
	}
	if err := sparesAdmins(r, u); err != nil {
		return err
	}
	made, err := h.cfg.Accounts.Create(r.Context(), site.NewUser{
		Username: u.Username, Name: u.Name, Email: u.Email, TrustLevel: u.TrustLevel, Admin: u.Admin,
		Moderator: u.Moderator, Inactive: !u.Active, Groups: u.Groups, Password: fields.Get(passwordField),
	}, c)
	if err != nil {
		return err
	}
	return answerUser(w, made)
}

// sparesAdmins refuses to let an admin API key with permissions make, change or remove an administrator. Who can set
// an administrator's password can sign in as that administrator, and may then do everything.
func sparesAdmins(r *http.Request, users ...site.User) error {
	if !door.AdminAPIKey(r).Narrow() {
		return nil
	}
	for _, u := range users {
		if u.Admin {
			return &userkeys.Error{
				Code: userkeys.InvalidAccess, Reason: "not for this admin API key",
				Public: userkeys.NotPermitted + " Administrators are changed by an administrator, or by an admin API key " +
					"without permissions, a user or an end of its own.",
			}
		}
	}
	return nil
}

// userNamed is the user of the address.
func (h *Handlers) userNamed(r *http.Request) (site.User, error) {
	name, err := input.NameDotJSON(r, "username")
	if err != nil {
		return site.User{}, err
	}
	return h.cfg.Accounts.FindUser(r.Context(), name)
}

func (h *Handlers) showUser(w http.ResponseWriter, r *http.Request, _ site.Caller) error {
	u, err := h.userNamed(r)
	if err != nil {
		return err
	}
	return answerUser(w, u)
}

// putUser changes what is given and leaves the rest. A password comes alone:
// of two changes one could be refused after the other was made.
func (h *Handlers) putUser(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	u, err := h.userNamed(r)
	if err != nil {
		return err
	}
	if err := sparesAdmins(r, u); err != nil {
		return err
	}
	fields := r.PostForm
	fields.Del(input.TokenField)
	if err := input.OnlyFields(fields, append(userFields, passwordField)...); err != nil {
		return err
	}
	switch {
	case len(fields) == 0:
		return userkeys.Errorf(userkeys.InvalidParameters,
			"nothing is to be changed; there is %s, %s", strings.Join(userFields, ", "), passwordField)
	case fields.Has(passwordField) && len(fields) > 1:
		return userkeys.Errorf(userkeys.InvalidParameters, "change the password in a request of its own")
	case fields.Has(passwordField):
		if err := h.cfg.Accounts.SetPassword(r.Context(), u.ID, fields.Get(passwordField), c); err != nil {
			return err
		}
		return answerUser(w, u)
	}
	wanted := site.User{}
	if err := setUserFields(&wanted, fields); err != nil {
		return err
	}
	if err := sparesAdmins(r, wanted); err != nil {
		return err
	}
	// read well a moment ago
	u, err = h.cfg.Accounts.Update(r.Context(), u.ID, func(u *site.User) { _ = setUserFields(u, fields) }, c)
	if err != nil {
		return err
	}
	return answerUser(w, u)
}

func (h *Handlers) deleteUser(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	u, err := h.userNamed(r)
	if err != nil {
		return err
	}
	if err := sparesAdmins(r, u); err != nil {
		return err
	}
	if err := h.cfg.Accounts.Delete(r.Context(), u.ID, c); err != nil {
		return err
	}
	return door.Success(w)
}

func (h *Handlers) suspendUser(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	return h.changeUser(w, r, c, h.cfg.Accounts.Suspend)
}

func (h *Handlers) unsuspendUser(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	return h.changeUser(w, r, c, h.cfg.Accounts.Unsuspend)
}

func (h *Handlers) changeUser(w http.ResponseWriter, r *http.Request, c site.Caller,
	change func(context.Context, int64, site.Caller) (site.User, error),
) error {
	u, err := h.cfg.Accounts.FindUser(r.Context(), r.PathValue("username"))
	if err != nil {
		return err
	}
	if err := sparesAdmins(r, u); err != nil {
		return err
	}
	if u, err = change(r.Context(), u.ID, c); err != nil {
		return err
	}
	return answerUser(w, u)
}
