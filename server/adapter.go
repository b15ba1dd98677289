package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/site"
)

// exchange is what the adapter keeps about one request and its answer.
type exchange struct {
	id      string
	began   time.Time
	where   string // the route, or what was asked for where there is none
	ip      string
	visitor site.Visitor
	// adminKey is the admin API key that the visitor speaks by; zero: none.
	adminKey site.AdminAPIKey
	keyID    int64
	err      error
	parked   bool          // it is answered, and written to the log, after its handler has returned
	came     *http.Request // as it was before its session was looked at; only where a session is looked at again
}

type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	if x == nil { // a handler outside of serve, which nothing does but tests
		x = &exchange{}
	}
	return x
}

// serve is the one way from a route to a handler: headers, the check of a
// key, session, rules of the door, errors, the log line.
func (s *Server) serve(rt route) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchangeOf(r)
		if err := s.answer(rt, w, r); err != nil {
			x.err = err
			s.fail(w, r, err)
		}
		if rt.door.long && !x.parked && (x.err == nil || x.keyID == 0) { // a key that ended has its answer cut
			s.extend(w) // net/http still has to write the last chunk, and the waiting has used up the deadline
		}
	})
	checked := s.oneKey(rt, s.checkKey(rt, s.loadSession(rt, s.cutStreams(rt, inner))))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{id: requestID(), began: s.cfg.Now(), where: rt.pattern, ip: s.cfg.ClientIP(r)}
		if x.where == "" {
			x.where = r.Method + " " + cutBytes(loggedPath(r.URL.Path), 256)
		}
		s.setHeaders(w.Header(), rt, x.id)
		rec := &recorder{ResponseWriter: w}
		checked.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
		if !x.parked {
			s.log(r.Context(), x, rec.status)
		}
	})
}

// oneKey refuses a request with a user's key and an admin API key: it cannot be both.
func (s *Server) oneKey(rt route, next http.Handler) http.Handler {
	if rt.door == bare {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if adminKeyed(r) && r.Header[userkeys.KeyHeader] != nil {
			_ = refuseJSON(w, r, userkeys.Errorf(userkeys.InvalidParameters, "a request has either a User-Api-Key or an Api-Key, not both")) // it is written
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkKey has a request's key checked, unless a guard further out did: so that an
// embedder who mounts the pages bare is as safe as one who guards them. A bare route looks at nothing.
func (s *Server) checkKey(rt route, next http.Handler) http.Handler {
	if rt.door == bare {
		return next
	}
	return s.guard(next)
}

func (s *Server) loadSession(rt route, next http.Handler) http.Handler {
	if s.accounts == nil || !rt.door.session {
		return next
	}
	sessions := s.accounts.Sessions(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := userkeys.FromContext(r.Context()); ok || adminKeyed(r) { // a key stands alone: cookies beside it say nothing
			next.ServeHTTP(w, r)
			return
		}
		if rt.door.long {
			exchangeOf(r).came = r
		}
		sessions.ServeHTTP(w, r)
	})
}

// cutStreams ends what is answered for long when its key ends (KU16, T34).
func (s *Server) cutStreams(rt route, next http.Handler) http.Handler {
	if !rt.door.long {
		return next
	}
	return s.cut(next)
}

// answer holds the rules of rt's door and calls its handler.
func (s *Server) answer(rt route, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if access, ok := userkeys.FromContext(r.Context()); ok {
		return s.answerKey(rt, w, r, access)
	}
	var v site.Visitor
	if adminKeyed(r) && rt.door != bare {
		v, err = s.enterAdminKey(rt, w, r)
	} else {
		v, err = s.enter(rt, w, r)
	}
	if err != nil {
		return err
	}
	switch {
	case v.Session.App != "" && !rt.door.appSessions:
		return errAppSession(v.Session.App)
	case rt.who >= signedIn && !v.SignedIn():
		return s.sendToLogin(w, r)
	case rt.who == administrator && !v.User.Admin:
		return errNoAdministrator(exchangeOf(r).adminKey, v.User)
	}
	if rt.door.once {
		if err := s.spendForm(r, v); err != nil {
			return err
		}
	}
	if rt.door.long && v.SignedIn() {
		watched, stop := s.watchSession(r, v)
		defer stop()
		r = watched
	}
	return rt.handle(w, r, v)
}

// enter looks at a request without a key in the order of cost: where it came
// from, its body, who sends it, and whether their session wrote the form.
func (s *Server) enter(rt route, w http.ResponseWriter, r *http.Request) (v site.Visitor, err error) {
	if rt.door.origin {
		if err := s.checkOrigin(r); err != nil {
			return v, &userkeys.Error{Code: userkeys.InvalidCSRF, Err: err}
		}
	}
	if rt.door.form {
		if r.PostForm, err = readBody(w, r, rt.door); err != nil {
			return v, err
		}
		r.Form = r.PostForm // the query never counts where a body does
	}
	if rt.door.session {
		if v, err = s.cfg.Identity.Visitor(r); err != nil {
			return site.Visitor{}, err
		}
	}
	if v.SignedIn() {
		exchangeOf(r).visitor = v
		setUsername(w, v.User.Username)
	}
	if rt.door.token && !tokenHolds(r, v) {
		return v, userkeys.Errorf(userkeys.InvalidCSRF, "the form's token is not this session's")
	}
	return v, nil
}

// checkOrigin refuses what a page of another origin made a browser send. What
// the browser says of it outranks an Origin that names this site: the check
// behind asks the two the other way round. That check lets every safe method
// pass, so it is asked as for a POST: what is behind such a door is nobody else's to read.
func (s *Server) checkOrigin(r *http.Request) error {
	switch from := r.Header.Get("Sec-Fetch-Site"); from {
	case "", "same-origin", "none":
		as := r.WithContext(r.Context()) // a shallow copy
		as.Method = http.MethodPost
		return s.origins.Check(as)
	default:
		return fmt.Errorf("sent from another site: %q", cutBytes(from, 20))
	}
}

// answerKey answers a request with a key that was found good.
func (s *Server) answerKey(rt route, w http.ResponseWriter, r *http.Request, access userkeys.Access) error {
	exchangeOf(r).keyID = access.KeyID
	setUsername(w, access.Username)
	if !rt.door.keys {
		return &userkeys.Error{Code: userkeys.InvalidAccess, Public: userkeys.NotPermitted, Reason: "not for keys"}
	}
	if rt.door.form {
		fields, err := readKeyBody(w, r)
		if err != nil {
			return err
		}
		r.PostForm, r.Form = fields, fields
	}
	return rt.handle(w, r, site.Visitor{})
}

// sendToLogin asks somebody at a browser to sign in and come back. Programs,
// and forms whose session ended, get a refusal.
func (s *Server) sendToLogin(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || gateway.WantsJSON(r) {
		return userkeys.Errorf(userkeys.NotLoggedIn, "you need to be signed in to do that")
	}
	redirect(w, http.StatusFound, s.cfg.Identity.LoginURL(addressOf(r)))
	return nil
}

// errAppSession refuses what only a session that the user began may do.
func errAppSession(app string) error {
	return &userkeys.Error{
		Code: userkeys.InvalidAccess, Reason: reasonAppSession,
		Public: userkeys.NotPermitted + " This browser was signed in by the app \"" + shownName(app) + "\", which may look and revoke only. Sign in yourself to do more.",
	}
}

const reasonAppSession = "session of an app"

// errNoAdministrator refuses u what is for administrators. A program learns that it is about the user whom its key acts as.
func errNoAdministrator(k site.AdminAPIKey, u site.User) error {
	if k.ID == 0 {
		return userkeys.Errorf(userkeys.InvalidAccess, "only an administrator may see this page")
	}
	return userkeys.Errorf(userkeys.InvalidAccess,
		"only an administrator may do this: the admin API key acts as %s, who is none", u.Username)
}

// redirect sends the browser to location, byte for byte.
func redirect(w http.ResponseWriter, status int, location string) {
	w.Header()["Location"] = []string{location}
	w.WriteHeader(status)
}

// setUsername tells who was recognised, as the wire does on every such answer.
func setUsername(w http.ResponseWriter, name string) {
	if name != "" && strings.IndexFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }) < 0 {
		w.Header().Set("X-Discourse-Username", name)
	}
}

func requestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails
	return hex.EncodeToString(b[:])
}

// log writes the one line of a request: never its query, body or headers.
func (s *Server) log(ctx context.Context, x *exchange, status int) {
	attrs := []slog.Attr{
		slog.String("id", x.id), slog.String("route", x.where), slog.Int("status", status),
		slog.Duration("took", s.cfg.Now().Sub(x.began)), slog.String("ip", x.ip),
	}
	if x.visitor.SignedIn() {
		attrs = append(attrs, slog.Int64("user", x.visitor.User.ID))
	}
	if x.visitor.AdminKey != 0 {
		attrs = append(attrs, slog.Int64("admin_key", x.visitor.AdminKey))
	}
	if x.keyID != 0 {
		attrs = append(attrs, slog.Int64("key", x.keyID))
	}
	level := slog.LevelInfo
	if x.err != nil {
		attrs = append(attrs, slog.String("refused", string(userkeys.AsError(x.err).Code)), slog.String("error", cutBytes(x.err.Error(), 256)))
	}
	if status >= 500 {
		level = slog.LevelError
	}
	s.cfg.Logger.LogAttrs(ctx, level, "request", attrs...)
}

// loggedPath is a path as the log may have it: an address that is nearly that
// of a one-time password still has the password in it.
func loggedPath(path string) string {
	if before, _, ok := strings.Cut(path, "/otp/"); ok {
		return before + "/otp/..."
	}
	return path
}

// cutBytes shortens s to at most n bytes, at a character's border.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
