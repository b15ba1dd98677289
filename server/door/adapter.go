package door

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"userkeys"
	"userkeys/internal/logs"
	"userkeys/site"
)

// state is what the door keeps about one request while it is answered.
type state struct {
	id       string
	began    time.Time
	where    string // the route, or what was asked for where there is none
	ip       string
	caller   site.Caller
	adminKey site.AdminAPIKey // that the caller speaks by; zero: none
	err      error            // that was answered
	later    bool             // the log line is written after the handler has returned
	json     bool             // refusals are JSON, whatever was asked for
	came     *http.Request    // as it was before its session was looked at; only where a session is looked at again
}

type stateKey struct{}

func stateOf(r *http.Request) *state {
	x, _ := r.Context().Value(stateKey{}).(*state)
	if x == nil { // a handler outside of serve, which nothing does but tests
		x = &state{}
	}
	return x
}

// Note has the log tell of err, which the handler answers by itself.
func Note(r *http.Request, err error) { stateOf(r).err = err }

// AdminAPIKey is the admin API key that r's caller speaks by; zero: none.
func AdminAPIKey(r *http.Request) site.AdminAPIKey { return stateOf(r).adminKey }

// LogLater has the log line of r written not when its handler returns but when log is called.
func (d *Door) LogLater(r *http.Request) (log func(status int)) {
	x := stateOf(r)
	x.later = true
	ctx := context.WithoutCancel(r.Context())
	return func(status int) { d.log(ctx, x, status) }
}

// serve is the one way from a route to a handler: headers, the check of a
// key, session, rules, errors, the log line.
func (d *Door) serve(rt Route) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := stateOf(r)
		if err := d.answer(rt, w, r); err != nil {
			if rt.Within > 0 && r.Context().Err() != nil {
				err = errLate
			}
			x.err = err
			d.fail(w, r, err)
		}
		if rt.Long && !x.later && (x.err == nil || x.caller.Key == 0) { // a key that ended has its answer cut
			d.Extend(w) // net/http still has to write the last chunk, and the waiting has used up the deadline
		}
	})
	checked := d.oneKey(rt, d.checkKey(rt, d.loadSession(rt, d.cutStreams(rt, inner))))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &state{id: requestID(), began: d.cfg.Now(), where: rt.Pattern, ip: d.cfg.ClientIP(r), json: rt.JSON}
		if x.where == "" {
			x.where = r.Method + " " + logs.Path(r.URL.Path)
		}
		d.setHeaders(w.Header(), rt.Name, x.id)
		rec := &recorder{ResponseWriter: w}
		if rt.Authorization {
			r = adminKeyOfAuthorization(r)
		}
		ctx := context.WithValue(r.Context(), stateKey{}, x)
		if rt.Within > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, rt.Within)
			defer cancel()
		}
		checked.ServeHTTP(rec, r.WithContext(ctx))
		if !x.later {
			d.log(r.Context(), x, rec.status)
		}
	})
}

// errLate refuses what could not be decided within the time that the rules of its route give.
var errLate = &userkeys.Error{
	Code: userkeys.Unavailable, Public: "the site cannot answer this right now", Reason: "unavailable",
	RetryAfter: time.Second,
}

// answer holds the rules of rt and calls its handler. A panic in it is an error.
func (d *Door) answer(rt Route, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	v, err := d.enter(rt, w, r)
	if err != nil {
		return err
	}
	switch {
	case v.Key != 0:
		return rt.handle(w, r, v)
	case v.Session.App != "" && !rt.Lets(AppSession):
		return errAppSession(v.Session.App)
	case rt.As == Known && !v.SignedIn():
		return ErrNotLoggedIn
	case rt.As >= User && !v.SignedIn():
		return d.SendToLogin(w, r)
	case rt.As == Administrator && !v.User.Admin:
		return errNoAdministrator(stateOf(r).adminKey, v.User)
	}
	if rt.Fresh && v.AdminKey == 0 {
		if err := d.checkFresh(r); err != nil {
			return err
		}
	}
	if rt.CSRF == CheckOnce {
		if err := d.spendForm(r, v); err != nil {
			return err
		}
	}
	if rt.Long && v.SignedIn() {
		watched, stop := d.watchSession(r, v)
		defer stop()
		r = watched
	}
	return rt.handle(w, r, v)
}

// requestID is a new name for a request, for the log and for people who report a problem.
func requestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails
	return hex.EncodeToString(b[:])
}

// log writes the one line of a request: never its query, body or headers.
func (d *Door) log(ctx context.Context, x *state, status int) {
	attrs := []slog.Attr{
		slog.String("id", x.id), slog.String("route", x.where), slog.Int("status", status),
		slog.Duration("took", d.cfg.Now().Sub(x.began)), slog.String("ip", x.ip),
	}
	switch by := x.caller; {
	case by.Key != 0:
		attrs = append(attrs, slog.Int64("key", by.Key))
	case by.AdminKey != 0:
		attrs = append(attrs, slog.Int64("user", by.User.ID), slog.Int64("admin_key", by.AdminKey))
	case by.SignedIn():
		attrs = append(attrs, slog.Int64("user", by.User.ID))
	}
	level := slog.LevelInfo
	if x.err != nil {
		refused := slog.String("refused", string(userkeys.AsError(x.err).Code))
		attrs = append(attrs, refused, slog.String("error", userkeys.Shorten(x.err.Error(), 256)))
	}
	if status >= 500 {
		level = slog.LevelError
	}
	d.cfg.Logger.LogAttrs(ctx, level, "request", attrs...)
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
