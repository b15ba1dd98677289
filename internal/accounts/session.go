package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"

	"userkeys"
	"userkeys/site"
)

const (
	idleTimeout     = 14 * 24 * time.Hour // without a visit
	sessionLifetime = 90 * 24 * time.Hour // whatever visits
	touchEvery      = time.Minute         // how exactly a last visit is known
	touchPatience   = 300 * time.Millisecond
	tokenBytes      = 32
)

// The values of a session.
const (
	keyUser = "user" // id
	keyID   = "id"   // the session's public name
	keySeen = "seen" // last visit, RFC 3339
	// keyBegan is when the password, or another proof, was given, RFC 3339.
	keyBegan = "began"
	keyVia   = "via" // name of the app whose one-time password began it
	// keyLogin is the name of the login through which a provider signed the user in, and keySubject what the provider
	// calls the user.
	keyLogin, keySubject = "login", "subject"
	// keyEarly is the hash of the form token that the browser had before.
	keyEarly = "early"
)

// CookieName is the name of the session cookie. Behind https the browser
// itself sees to it that no other host, and no page without https, can set it.
func (ac *Accounts) CookieName() string {
	if ac.secure {
		return "__Host-userkeys"
	}
	return "userkeys"
}

// newSessions sets up the library for what it does here: the data of one
// session while a request lasts. When it is loaded, saved and sent is ours to
// say, by our clock: the library would write at every request, and so bring
// back a session that was ended while the request ran.
func (ac *Accounts) newSessions() *scs.SessionManager {
	// Not scs.New, which would start a store in memory with a goroutine of its own.
	return &scs.SessionManager{Lifetime: sessionLifetime, Store: rows{ac: ac}, Codec: codec{}}
}

// visit is one request and the session it came with.
type visit struct {
	ac *Accounts
	w  http.ResponseWriter // nil: the request has not passed Sessions

	request *http.Request
	token   string // as the browser sent it, if it looks like one
	early   string // cookie of a form token that a new session takes over

	mu     sync.Mutex
	ctx    context.Context // carries the session's data once loaded
	looked bool            // user is known
	user   site.User
}

type visitKey struct{ ac *Accounts }

// Sessions lets Login, Logout and Setup under it work, and Visitor look only
// once per request. A request that asks none of them costs nothing, and a
// visitor who is not signed in leaves no row and gets no cookie.
func (ac *Accounts) Sessions(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ac.visitOf(r.Context()) == nil {
			v := &visit{ac: ac, w: w, request: r, token: ac.tokenOf(r)}
			r = r.WithContext(context.WithValue(r.Context(), visitKey{ac}, v))
		}
		next.ServeHTTP(w, r)
	})
}

func (ac *Accounts) visitOf(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{ac}).(*visit)
	return v
}

// tokenIn reads the token in a cookie; empty if there is none. Two cookies of one name are none: without
// https a neighbouring host can add its own, to have somebody act in its account.
func tokenIn(r *http.Request, cookie string) string {
	cookies := r.CookiesNamed(cookie)
	if len(cookies) != 1 {
		return ""
	}
	token := cookies[0].Value
	if b, err := base64.RawURLEncoding.Strict().DecodeString(token); err != nil || len(b) != tokenBytes {
		return ""
	}
	return token
}

// tokenOf reads the session cookie.
func (ac *Accounts) tokenOf(r *http.Request) string { return tokenIn(r, ac.CookieName()) }

// Visitor tells who sends r; nobody is a zero Visitor. The user is read anew
// for each request, so that a suspension counts at once.
func (ac *Accounts) Visitor(r *http.Request) (site.Caller, error) {
	v := ac.visitOf(r.Context())
	if v == nil {
		v = &visit{ac: ac, request: r, token: ac.tokenOf(r)}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.look(r.Context()); err != nil {
		return site.Caller{}, err
	}
	if v.user.ID == 0 {
		return site.Caller{}, nil
	}
	return site.Caller{User: v.user, Session: site.Session{
		ID: v.get(keyID), App: v.get(keyVia), Login: v.get(keyLogin),
		CSRF: formSecret(v.token), EarlyCSRF: v.earlyToken(ac.earlyOf(r)),
	}}, nil
}

// SignedInAt tells when the sender of r signed in, with a password or as the first administrator; zero for nobody,
// for an app with a one-time password, and for a session of a version that did not remember it.
func (ac *Accounts) SignedInAt(r *http.Request) (time.Time, error) {
	visitor, err := ac.Visitor(r)
	v := ac.visitOf(r.Context())
	if err != nil || v == nil || !visitor.SignedIn() || visitor.Session.App != "" {
		return time.Time{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	at, err := time.Parse(time.RFC3339, v.get(keyBegan))
	if err != nil {
		return time.Time{}, nil
	}
	return at, nil
}

// earlyName is the cookie of a form token before there is a session.
func (ac *Accounts) earlyName() string { return ac.CookieName() + "-early" }

// CookieNames are the cookies of this site that nobody else need see.
func (ac *Accounts) CookieNames() []string { return []string{ac.CookieName(), ac.earlyName()} }

// earlyOf reads the cookie of a form token before the session.
func (ac *Accounts) earlyOf(r *http.Request) string { return tokenIn(r, ac.earlyName()) }

// earlyToken is the form token from before the session, if the session began with it.
func (v *visit) earlyToken(cookie string) string {
	if cookie == "" {
		return ""
	}
	token := formSecret(cookie)
	if hex.EncodeToString(hashToken(token)) != v.get(keyEarly) {
		return ""
	}
	return token
}

// FormToken is what a program must send in X-CSRF-Token: the session's, or,
// before there is one, that of a cookie which it gets now. Programs ask once
// and go on to use it after they signed in: a session that begins with the
// cookie takes its token as well. Nobody else can know it: the token is made of the cookie.
// The request must have passed Sessions.
func (ac *Accounts) FormToken(r *http.Request) (string, error) {
	visitor, err := ac.Visitor(r)
	if err != nil || visitor.SignedIn() {
		return visitor.Session.CSRF, err
	}
	v := ac.visitOf(r.Context())
	if v == nil || v.w == nil {
		return "", errNoSession
	}
	cookie := ac.earlyOf(r)
	if cookie == "" {
		cookie = base64.RawURLEncoding.EncodeToString(randomBytes(tokenBytes))
		http.SetCookie(v.w, &http.Cookie{
			Name: ac.earlyName(), Value: cookie, Path: "/",
			Secure: ac.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		})
	}
	return formSecret(cookie), nil
}

// formSecret is what the forms of a session carry. It comes of the token that
// only the browser has, so the database holds neither.
func formSecret(token string) string {
	h := hmac.New(sha256.New, []byte(token))
	_, _ = h.Write([]byte("forms of this session")) // a hash never fails
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func (v *visit) get(key string) string { return v.ac.sessions.GetString(v.ctx, key) }

// load makes the session's data available; the caller holds v.mu.
func (v *visit) load(ctx context.Context) error {
	if v.ctx != nil {
		return nil
	}
	loaded, err := v.ac.sessions.Load(ctx, v.token)
	if err != nil {
		return coded(err)
	}
	v.ctx = loaded
	return nil
}

// look finds out who it is; the caller holds v.mu.
func (v *visit) look(ctx context.Context) error {
	if v.looked {
		return nil
	}
	if err := v.load(ctx); err != nil {
		return err
	}
	id, err := strconv.ParseInt(v.get(keyUser), 10, 64)
	if err != nil || id == 0 {
		v.looked = true
		return nil
	}
	u, err := v.ac.users.User(ctx, id)
	if err != nil && !errors.Is(err, userkeys.NotFound) {
		return coded(err)
	}
	if err != nil || !u.MayAct() {
		return v.end(ctx)
	}
	if v.get(keyVia) != "" && u.Paused(v.ac.pauseAfter, v.ac.now()) {
		return v.end(ctx) // an app's session is no longer than its keys
	}
	if login := v.get(keyLogin); login != "" && v.ac.stays != nil && !v.ac.stays(v.request, login, v.get(keySubject)) {
		v.looked = true // nobody for now: the session is for whoever the provider still names
		return nil
	}
	v.user, v.looked = u, true
	v.touch(ctx)
	return nil
}

// touch remembers now and then that the session is in use. Failing to is no
// reason to refuse the visit.
func (v *visit) touch(ctx context.Context) {
	now := v.ac.now().UTC()
	if seen, err := time.Parse(time.RFC3339, v.get(keySeen)); err == nil && now.Sub(seen) < touchEvery {
		return
	}
	v.ac.sessions.Put(v.ctx, keySeen, now.Format(time.RFC3339))
	soon, cancel := context.WithTimeout(v.ctx, touchPatience) // a locked database must not hold up the visit
	defer cancel()
	_, _, err := v.ac.sessions.Commit(context.WithValue(soon, rowKey{}, site.SessionRow{About: v.about(now)}))
	if err == nil {
		err = v.ac.users.TouchUser(soon, v.user.ID, now)
	}
	if err != nil {
		v.ac.log.WarnContext(ctx, "session: cannot remember a visit", "user", v.user.ID, "err", err)
	}
}

const maxUserAgent = 255 // bytes that are kept

// about is what the user sees of the session, which is visited now; the caller holds v.mu.
func (v *visit) about(now time.Time) site.UserSession {
	began, _ := time.Parse(time.RFC3339, v.get(keyBegan)) // zero in a session of a version that did not remember it
	agent := userkeys.Shorten(v.request.UserAgent(), maxUserAgent)
	if !userkeys.IsText(agent) {
		agent = ""
	}
	return site.UserSession{
		ID: v.get(keyID), Address: v.ac.clientIP(v.request), UserAgent: agent, Login: v.get(keyLogin),
		BeganAt: began, SeenAt: now,
	}
}

// A beginning is how a session begins, besides the user. The zero beginning is a password.
type beginning struct {
	app        *site.AppSession // the app that begins it
	login      string           // the login through which a provider signed the user in
	subject    string           // what the provider calls the user
	pauseAfter time.Duration    // how long the session may last; 0: as long as any
	known      bool             // the provider knew the user, who need not have proved anything
}

// start signs u in, or an app as u: under a new token, so that whoever planted or saw the
// old one has nothing.
func (v *visit) start(ctx context.Context, u site.User, how beginning) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.load(ctx); err != nil {
		return err
	}
	s, now := v.ac.sessions, v.ac.now().UTC()
	if err := s.RenewToken(v.ctx); err != nil {
		return coded(err)
	}
	if err := s.Clear(v.ctx); err != nil {
		return coded(err)
	}
	s.Put(v.ctx, keyUser, strconv.FormatInt(u.ID, 10))
	s.Put(v.ctx, keyID, hex.EncodeToString(randomBytes(16)))
	s.Put(v.ctx, keySeen, now.Format(time.RFC3339))
	if !how.known {
		s.Put(v.ctx, keyBegan, now.Format(time.RFC3339))
	}
	if how.app != nil {
		s.Put(v.ctx, keyVia, how.app.ApplicationName)
	}
	if how.login != "" {
		s.Put(v.ctx, keyLogin, how.login)
		s.Put(v.ctx, keySubject, how.subject)
	}
	if v.early != "" {
		s.Put(v.ctx, keyEarly, hex.EncodeToString(hashToken(formSecret(v.early))))
	}
	lifetime := sessionLifetime
	if how.pauseAfter > 0 {
		lifetime = min(lifetime, how.pauseAfter)
	}
	s.SetDeadline(v.ctx, now.Add(lifetime))
	row := site.SessionRow{UserID: u.ID, About: v.about(now)}
	row.About.BeganAt = now
	token, _, err := s.Commit(context.WithValue(v.ctx, rowKey{}, row))
	if err != nil {
		return coded(err)
	}
	if how.app != nil {
		if err := v.ac.store.BindSession(ctx, hashToken(token), *how.app); err != nil {
			return errors.Join(coded(err), v.end(ctx))
		}
	}
	v.user, v.looked, v.token = u, true, token
	v.setCookie(token, int(lifetime/time.Second))
	return nil
}

// end deletes the session, also when the browser has gone away meanwhile; the
// caller holds v.mu.
func (v *visit) end(ctx context.Context) error {
	if err := v.load(ctx); err != nil {
		return err
	}
	if err := v.ac.sessions.Destroy(context.WithoutCancel(v.ctx)); err != nil {
		return coded(err)
	}
	v.user, v.looked = site.User{}, true
	v.setCookie("", -1)
	return nil
}

// stop ends the session from outside.
func (v *visit) stop(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.end(ctx)
}

// setCookie gives the browser its token; it replaces what the same answer
// said before.
func (v *visit) setCookie(token string, maxAge int) {
	if v.w == nil {
		return
	}
	c := &http.Cookie{
		Name: v.ac.CookieName(), Value: token, Path: "/", MaxAge: maxAge,
		Secure: v.ac.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	h := v.w.Header()
	kept := h.Values("Set-Cookie")
	h.Del("Set-Cookie")
	for _, line := range kept {
		if !strings.HasPrefix(line, c.Name+"=") {
			h.Add("Set-Cookie", line)
		}
	}
	h.Add("Set-Cookie", c.String())
}

// rowKey has the site.SessionRow of a commit, whose UserID is 0 unless it begins a session.
type rowKey struct{}

// rows keeps sessions in the store by the hash of their token: who reads the
// database can enter none. The methods without a context are never called.
type rows struct {
	scs.Store
	ac *Accounts
}

func hashToken(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// FindCtx reads a session that is not over.
func (s rows) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	return s.ac.store.Session(ctx, hashToken(token), s.ac.now().UTC())
}

// CommitCtx writes a session. Only a login makes a row; anything else changes
// one that is still there. deadline is the absolute end.
func (s rows) CommitCtx(ctx context.Context, token string, data []byte, deadline time.Time) error {
	end := s.ac.now().UTC().Add(idleTimeout)
	if deadline.Before(end) {
		end = deadline
	}
	row, _ := ctx.Value(rowKey{}).(site.SessionRow)
	row.TokenHash, row.Data, row.ExpiresAt = hashToken(token), data, end
	if row.UserID != 0 {
		return s.ac.store.SaveSession(ctx, row)
	}
	_, err := s.ac.store.RenewSession(ctx, row)
	return err
}

// DeleteCtx ends a session.
func (s rows) DeleteCtx(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	return s.ac.store.DeleteSession(ctx, hashToken(token))
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // crypto/rand.Read never fails
	return b
}

// codec writes a session as JSON, which people and other versions can read.
type codec struct{}

type sessionJSON struct {
	Deadline time.Time         `json:"deadline"`
	Values   map[string]string `json:"values"`
}

// Encode writes text values; a session has no others.
func (codec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	s := sessionJSON{Deadline: deadline, Values: map[string]string{}}
	for k, v := range values {
		text, ok := v.(string)
		if !ok {
			return nil, errors.New("session: a value is no text")
		}
		s.Values[k] = text
	}
	return json.Marshal(s)
}

// Decode reads what Encode wrote. Data that cannot be read is a session of
// nobody: an error would shut the browser out for as long as it has the cookie.
func (codec) Decode(data []byte) (time.Time, map[string]any, error) {
	values := map[string]any{}
	var s sessionJSON
	if err := json.Unmarshal(data, &s); err != nil {
		return time.Time{}, values, nil
	}
	for k, v := range s.Values {
		values[k] = v
	}
	return s.Deadline, values, nil
}
