package fakesite

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/site"
)

// fakeAuthority decides with the real rules of the root and forgets nothing.
type fakeAuthority struct {
	mu          sync.Mutex
	InForce     site.Settings
	catalog     *userkeys.Catalog
	PinnedNames map[string]bool
	Open        map[string]site.CheckedRequest
	Owner       map[string]site.Caller
	UserKeys    []site.UserAPIKey
	Texts       map[string]int64 // key text to id
	Actors      []site.Caller
	Charged     error // that an app asks for its push secret
	Down        error
	SignIns     []site.AppSession
	Over        sync.Map // ids of keys that end while a request of theirs is answered
	closedWays

	Spent        map[string]bool // tokens of forms that were sent
	AdminAPIKeys []site.AdminAPIKey
	AdminTexts   map[string]int64 // key text to id
	Events       []site.AuditEvent
}

// NewAuthority makes an authority without keys.
func NewAuthority() *fakeAuthority {
	catalog, err := userkeys.NewCatalog()
	if err != nil {
		panic(err)
	}
	f := &fakeAuthority{
		InForce: site.DefaultSettings(), catalog: catalog, PinnedNames: map[string]bool{},
		Open: map[string]site.CheckedRequest{}, Owner: map[string]site.Caller{}, Texts: map[string]int64{},
		AdminTexts: map[string]int64{}, Spent: map[string]bool{},
	}
	f.Set("allowed_user_api_auth_redirects", "discourse://auth_redirect|https://app.example/cb|"+
		"https://*.evil.net/*|https://bank.example.evil.net/")
	return f
}

func (f *fakeAuthority) Set(name, value string) {
	if err := f.InForce.Set(name, value); err != nil {
		panic(err)
	}
}

func (f *fakeAuthority) Settings() site.Settings { return f.InForce }

func (f *fakeAuthority) Catalog() *userkeys.Catalog { return f.catalog }

func (f *fakeAuthority) Pinned(name string) bool { return f.PinnedNames[name] }

func (f *fakeAuthority) ChangeSetting(_ context.Context, name, value string, by site.Caller) error {
	if f.Down != nil {
		return f.Down
	}
	if f.PinnedNames[name] {
		return userkeys.Errorf(userkeys.Conflict, "%s is set by the configuration", name)
	}
	f.Actors = append(f.Actors, by)
	return f.InForce.Set(name, value)
}

func (f *fakeAuthority) ResetSetting(_ context.Context, name string, _ site.Caller) error {
	d, err := site.FindSetting(name)
	if err != nil {
		return err
	}
	return f.InForce.Set(name, d.Default)
}

func (f *fakeAuthority) Examine(_ context.Context, r site.AuthorizationRequest) (site.CheckedRequest, error) {
	if f.Down != nil {
		return site.CheckedRequest{}, f.Down
	}
	if r.Kind == site.KindOneTime {
		return site.CheckedRequest{}, errClosed
	}
	return r.Check(f.InForce, f.catalog, site.Client{})
}

func (f *fakeAuthority) Prepare(
	ctx context.Context, r site.AuthorizationRequest, b site.Caller,
) (authority.Question, error) {
	q, err := f.Examine(ctx, r)
	if err == nil {
		err = f.InForce.CheckGrantor(b.User)
	}
	if err != nil {
		return authority.Question{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id := "consent-" + strconv.Itoa(len(f.Owner)+1)
	f.Open[id], f.Owner[id] = q, b
	return authority.Question{ID: id, CheckedRequest: q}, nil
}

func (f *fakeAuthority) Take(id string, b site.Caller) (site.CheckedRequest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q, ok := f.Open[id]
	if !ok || f.Owner[id].Session.ID != b.Session.ID {
		return q, site.ErrConsentGone
	}
	delete(f.Open, id)
	return q, nil
}

func (f *fakeAuthority) Grant(ctx context.Context, y authority.Approval) (authority.Granted, error) {
	q, err := f.approved(ctx, y)
	if err == nil {
		q, err = q.Narrow(f.InForce, y.Choice)
	}
	if err != nil {
		return authority.Granted{}, err
	}
	return f.Give(q, y.By)
}

func (f *fakeAuthority) approved(ctx context.Context, y authority.Approval) (site.CheckedRequest, error) {
	switch {
	case f.Down != nil:
		return site.CheckedRequest{}, f.Down
	case y.Device != "" || y.Kind == site.KindOneTime:
		return site.CheckedRequest{}, errClosed
	case y.Request == nil:
		return f.Take(y.Consent, y.By)
	}
	q, err := f.Examine(ctx, *y.Request)
	if err == nil {
		err = f.InForce.CheckGrantor(y.By.User)
	}
	return q, err
}

func (f *fakeAuthority) Give(q site.CheckedRequest, b site.Caller) (authority.Granted, error) {
	key := userkeys.NewKey("")
	sealed, err := userkeys.Payload{Key: key, Nonce: q.Nonce, Push: q.Push}.Seal(q.Key, q.Pad)
	if err != nil {
		return authority.Granted{}, err
	}
	k := f.Add(site.UserAPIKey{
		UserID: b.User.ID, ApplicationName: q.Name, Scopes: q.Scopes, CreatedAt: Now,
		LastUsedAt: Now,
	})
	g := authority.Granted{Key: k, Payload: sealed}
	if q.Redirect != nil {
		g.Location = q.Redirect.With(q.AnswerName(), sealed)
	}
	return g, nil
}

func (f *fakeAuthority) SpendForm(_ context.Context, token string, _ time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Spent[token] {
		return userkeys.Errorf(userkeys.Conflict, "this form was sent already")
	}
	f.Spent[token] = true
	return nil
}

func (f *fakeAuthority) Deny(_ context.Context, id string, b site.Caller) (string, error) {
	q, err := f.Take(id, b)
	if err != nil {
		return "", err
	}
	return q.DeniedLocation(), nil
}

func (f *fakeAuthority) ChargePushSecret(userkeys.Access) error { return f.Charged }

// Add remembers a key; its text is "key-<id>".
func (f *fakeAuthority) Add(k site.UserAPIKey) site.UserAPIKey {
	f.mu.Lock()
	defer f.mu.Unlock()
	k.ID = int64(len(f.UserKeys) + 1)
	f.UserKeys = append(f.UserKeys, k)
	f.Texts["key-"+strconv.FormatInt(k.ID, 10)] = k.ID
	return k
}

func (f *fakeAuthority) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.UserKeys)
}

func (f *fakeAuthority) Apps(_ context.Context, userID int64) ([]site.UserAPIKey, error) {
	if f.Down != nil {
		return nil, f.Down
	}
	var out []site.UserAPIKey
	for _, k := range slices.Backward(f.UserKeys) {
		if k.UserID == userID {
			out = append(out, k)
		}
	}
	return out, nil
}

func (f *fakeAuthority) Find(id int64, by site.Caller) (*site.UserAPIKey, error) {
	f.Actors = append(f.Actors, by)
	if f.Down != nil {
		return nil, f.Down
	}
	if id > int64(len(f.UserKeys)) {
		return nil, userkeys.Errorf(userkeys.NotFound, "there is no such key")
	}
	k := &f.UserKeys[id-1]
	if k.UserID != by.User.ID && !by.Admin() {
		return nil, userkeys.Errorf(userkeys.InvalidAccess, userkeys.NotPermitted)
	}
	return k, nil
}

func (f *fakeAuthority) Revoke(_ context.Context, id int64, by site.Caller) error {
	k, err := f.Find(id, by)
	if err == nil {
		k.RevokedAt, k.RevokedBy = Now, site.RevokedByOwner
	}
	return err
}

func (f *fakeAuthority) UndoRevoke(_ context.Context, id int64, by site.Caller) error {
	k, err := f.Find(id, by)
	if err == nil {
		k.RevokedAt, k.RevokedBy = time.Time{}, ""
	}
	return err
}

func (f *fakeAuthority) AppSessions(context.Context, int64) ([]site.AppSession, error) {
	return f.SignIns, nil
}

func (f *fakeAuthority) RevokeAll(ctx context.Context, userID int64, by site.Caller) (int, error) {
	n := 0
	for _, k := range f.UserKeys {
		if k.UserID == userID && k.RevokedAt.IsZero() {
			n++
			if err := f.Revoke(ctx, k.ID, by); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (f *fakeAuthority) Check(_ context.Context, c site.Call) (userkeys.Access, error) {
	id, ok := f.Texts[c.Key]
	if !ok || !f.UserKeys[id-1].RevokedAt.IsZero() {
		return userkeys.Access{}, userkeys.ErrInvalidKey
	}
	k := f.UserKeys[id-1]
	return userkeys.Access{
		KeyID: id, UserID: k.UserID, Username: "alice",
		Standing: &userkeys.Standing{Scopes: k.Scopes, TrustLevel: 2, Admin: k.UserID == Root.ID},
	}, nil
}

func (*fakeAuthority) Rebind(_ context.Context, a userkeys.Access, _ string) userkeys.Access {
	return a
}

func (*fakeAuthority) IsAdminKey(context.Context, string) bool { return false }

func (*fakeAuthority) Edge() *site.Edge { return &site.Edge{} }

func (f *fakeAuthority) Holds(_ context.Context, a userkeys.Access) error {
	if _, over := f.Over.Load(a.KeyID); over {
		return userkeys.ErrInvalidKey
	}
	return nil
}

// AppKey is an app's key pair; its parameter is the PEM.
var AppKey = sync.OnceValues(func() (*rsa.PrivateKey, string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
})

// Ask is the query of an ordinary request, with changes: "name=value"; "-name" leaves it out.
func Ask(changes ...string) string {
	_, public := AppKey()
	q := url.Values{
		"nonce": {"n-0123456789"}, "scopes": {"read"}, "client_id": {"client-1"}, "application_name": {"Notifier"},
		"public_key": {public}, "auth_redirect": {"https://app.example/cb"}, "padding": {"oaep"},
	}
	for _, c := range changes {
		if name, ok := strings.CutPrefix(c, "-"); ok {
			q.Del(name)
			continue
		}
		name, value, _ := strings.Cut(c, "=")
		q.Set(name, value)
	}
	return "/user-api-key/new?" + q.Encode()
}

// ErrDown is what everything fails with while the database is gone.
var ErrDown = &userkeys.Error{
	Code: userkeys.Unavailable, Public: "the database does not answer",
	RetryAfter: time.Second, Err: errors.New("secret-dsn"),
}
