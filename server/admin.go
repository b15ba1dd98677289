package server

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/site"
)

// administration is what the admin API and its page need of the authority.
type administration interface {
	CheckAdminKey(ctx context.Context, key, username string) (site.User, site.AdminAPIKey, error)
	CreateAdminKey(ctx context.Context, n site.NewAdminAPIKey, by site.Caller) (userkeys.Key, site.AdminAPIKey, error)
	AdminKeys(ctx context.Context, before int64, limit int) ([]site.AdminAPIKey, error)
	RevokeAdminKey(ctx context.Context, id int64, by site.Caller) error
	Keys(ctx context.Context, f site.KeyFilter) ([]site.UserAPIKey, error)
	AuditEvents(ctx context.Context, before int64, limit int) ([]site.AuditEvent, error)
}

// UserAdmin manages the site's accounts. Errors carry codes:
// [userkeys.NotFound], [userkeys.InvalidParameters], [userkeys.Conflict].
type UserAdmin interface {
	Create(ctx context.Context, n site.NewUser, by site.Caller) (site.User, error)
	User(ctx context.Context, id int64) (site.User, error)
	// FindUser reads one user by user name or e-mail address.
	FindUser(ctx context.Context, name string) (site.User, error)
	FindUsers(ctx context.Context, f site.UserFilter) ([]site.User, error)
	// Update lets change have its way with the user as they are now.
	Update(ctx context.Context, id int64, change func(*site.User), by site.Caller) (site.User, error)
	Suspend(ctx context.Context, id int64, by site.Caller) (site.User, error)
	Unsuspend(ctx context.Context, id int64, by site.Caller) (site.User, error)
	SetPassword(ctx context.Context, id int64, password string, by site.Caller) error
	Delete(ctx context.Context, id int64, by site.Caller) error
}

// adminRoutes are admin API keys and what they manage. Users' keys reach none
// of them, whatever scopes they have and whoever owns them.
func (s *Server) adminRoutes() []route {
	all := []route{
		{"GET /user-api-key/admin/api-keys", page, administrator, "", s.adminKeysPage},
		{"POST /user-api-key/admin/api-keys", onceForm, administrator, "", s.adminKeysPost},
		{"POST /user-api-key/admin/api-keys/revoke", form, administrator, "", s.adminKeysRevoke},

		{"GET /user-api-key/admin/api-keys.json", adminRead, administrator, "", s.listAdminKeys},
		{"POST /user-api-key/admin/api-keys.json", ownWrite, administrator, "", s.createAdminKey},
		{"POST /user-api-key/admin/api-keys/{id}/revoke.json", adminWrite, administrator, "", s.revokeAdminKey},
		{"GET /user-api-key/admin/settings.json", adminRead.needing(site.AdminSettings), administrator, "", s.listSettings},
		{"PUT /user-api-key/admin/settings/{name}", adminWrite.needing(site.AdminSettings), administrator, "", s.putSetting},
		{"DELETE /user-api-key/admin/settings/{name}", adminWrite.needing(site.AdminSettings), administrator, "", s.deleteSetting},
		{"GET /user-api-key/admin/keys.json", adminRead.needing(site.AdminKeys), administrator, "", s.listKeys},
		{"POST /user-api-key/admin/keys/{id}/revoke.json", adminWrite.needing(site.AdminKeys), administrator, "", s.revokeKey},
		{"GET /user-api-key/admin/audit.json", adminRead.needing(site.AdminAudit), administrator, "", s.listEvents},
	}
	if s.cfg.Accounts == nil {
		return all
	}
	return append(all,
		route{"GET /user-api-key/admin/users.json", adminRead.needing(site.AdminUsers), administrator, "", s.listUsers},
		route{"POST /user-api-key/admin/users.json", adminWrite.needing(site.AdminUsers), administrator, "", s.createUser},
		route{"GET /user-api-key/admin/users/{username}", adminRead.needing(site.AdminUsers), administrator, "", s.getUser},
		route{"PUT /user-api-key/admin/users/{username}", adminWrite.needing(site.AdminUsers), administrator, "", s.putUser},
		route{"DELETE /user-api-key/admin/users/{username}", adminWrite.needing(site.AdminUsers), administrator, "", s.deleteUser},
		route{"POST /user-api-key/admin/users/{username}/suspend.json", adminWrite.needing(site.AdminUsers), administrator, "", s.suspendUser},
		route{"POST /user-api-key/admin/users/{username}/unsuspend.json", adminWrite.needing(site.AdminUsers), administrator, "", s.unsuspendUser},
	)
}

// adminKeyed tells whether r has an admin API key, good or not. Only the
// header counts: a key in an address gets into logs and histories.
func adminKeyed(r *http.Request) bool { return r.Header[site.AdminKeyHeader] != nil }

// enterAdminKey is who sends a request with an admin API key. No session is
// looked up, and what protects sessions is only left out once the key was
// found good (KU7).
func (s *Server) enterAdminKey(rt route, w http.ResponseWriter, r *http.Request) (site.Visitor, error) {
	nobody := site.Visitor{}
	if !rt.door.adminKeys {
		return nobody, &userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted + " An admin API key is not for this address.", Reason: "not for admin API keys"}
	}
	keys, names := r.Header[site.AdminKeyHeader], r.Header[site.AdminUsernameHeader]
	if len(keys) != 1 || len(names) > 1 {
		return nobody, userkeys.Errorf(userkeys.InvalidParameters, "the headers Api-Key and Api-Username may each be there once")
	}
	u, k, err := s.admin.CheckAdminKey(r.Context(), keys[0], strings.TrimSpace(strings.Join(names, "")))
	if err != nil {
		return nobody, err
	}
	v := site.Visitor{User: u, AdminKey: k.ID}
	x := exchangeOf(r)
	x.visitor, x.adminKey = v, k
	if p := rt.door.permission; p != anyPermission && !k.Permissions.Has(p) {
		return nobody, missingPermission(p)
	}
	setUsername(w, u.Username)
	if rt.door.form {
		if r.PostForm, err = readBody(w, r, rt.door); err != nil {
			return nobody, err
		}
		r.Form = r.PostForm
	}
	return v, nil
}

// missingPermission tells the holder of a good admin API key what its permissions lack.
func missingPermission(p site.AdminPermission) error {
	e := &userkeys.Error{
		Code: userkeys.InvalidAccess, Reason: "missing permission: " + string(p),
		Public: userkeys.NotPermitted + " This admin API key lacks the permission " + string(p) + ".",
	}
	if p == "" {
		e.Reason, e.Public = "missing permission", userkeys.NotPermitted+" This is for admin API keys that may do everything."
	}
	return e
}

const (
	defaultPage = 100
	mostPage    = 1000
)

// query is what a list is asked for: each name once, and none that the list
// does not know, for a filter that is not understood would show what it should not.
type query struct {
	url.Values
	limit  int
	before int64 // the cursor of a list that is newest first; 0: its start
}

func queryOf(r *http.Request, known ...string) (query, error) {
	bad := func(format string, args ...any) (query, error) {
		return query{}, userkeys.Errorf(userkeys.InvalidParameters, format, args...)
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad("the query is not well-formed")
	}
	q := query{Values: values, limit: defaultPage}
	known = append(known, "limit")
	for name, v := range values {
		switch {
		case !slices.Contains(known, name):
			return bad("this list has no parameter %q; it has %s", cutBytes(name, 100), strings.Join(known, ", "))
		case len(v) > 1:
			return bad("the parameter %s is there twice", name)
		case len(v[0]) > 1024 || !userkeys.IsStorable(v[0]):
			return bad("the parameter %s is no text, or longer than 1024 bytes", name)
		}
	}
	n, err := q.number("limit")
	if err != nil || n > mostPage {
		return bad("limit must be a whole number from 1 to %d", mostPage)
	}
	if n > 0 {
		q.limit = int(n)
	}
	q.before, err = q.number("before")
	return q, err
}

// number is a parameter that is an id or a count; 0 if it is absent. A cursor
// is only an id, so there is nothing else in it to change (AD4).
func (q query) number(name string) (int64, error) {
	if !q.Has(name) {
		return 0, nil
	}
	n, ok := plainID(q.Get(name))
	if !ok {
		return 0, userkeys.Errorf(userkeys.InvalidParameters, "%s must be a whole number above 0", name)
	}
	return n, nil
}

// plainID reads plain digits of a number that an id can be; it is 0 for others.
func plainID(text string) (int64, bool) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 || strconv.FormatInt(id, 10) != text {
		return 0, false
	}
	return id, true
}

// pathID reads the {id} of an address.
func pathID(r *http.Request, what string) (int64, error) {
	id, ok := plainID(r.PathValue("id"))
	if !ok {
		return 0, userkeys.Errorf(userkeys.NotFound, "there is no such %s", what)
	}
	return id, nil
}

// nameDotJSON reads a name in an address that ends with .json, as all of the
// admin API do: names may have dots, so there must be one reading.
func nameDotJSON(r *http.Request, wildcard string) (string, error) {
	name, ok := strings.CutSuffix(r.PathValue(wildcard), ".json")
	if !ok || name == "" || !userkeys.IsStorable(name) {
		return "", userkeys.Errorf(userkeys.NotFound, "there is nothing at this address; it ends with .json")
	}
	return name, nil
}

// next is the cursor to the page after a list; nil at its end.
func next[T any](list []T, limit int, id func(T) int64) *int64 {
	if len(list) < limit {
		return nil
	}
	last := id(list[len(list)-1])
	return &last
}

// required is a field that must be given; it may be empty.
func required(fields url.Values, name string) (string, error) {
	if !fields.Has(name) {
		return "", userkeys.Errorf(userkeys.MissingParameter, "param is missing or the value is empty: %s", name)
	}
	return fields.Get(name), nil
}
