package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"userkeys"
	"userkeys/client"
)

// lookAtKey asks whether the stored key still works, and tells when it ends.
func (e *examination) lookAtKey(ctx context.Context) {
	key, err := e.cfg.OpenKey(e.site)
	if typed, _ := client.ParseSite(e.cfg.Site); err == nil && key == nil && typed != "" && typed != e.site {
		key, err = e.cfg.OpenKey(typed)
	}
	switch {
	case err != nil:
		e.find(CheckKey, Warning, "not looked at: %s", userkeys.AsError(err).Public)
		return
	case key == nil:
		e.find(CheckKey, Skipped, "there is no stored key for the site").advise("get one: userkeys login " + e.site)
		return
	}
	e.key = key
	if key.Site != e.site {
		e.find(CheckKey, Problem, "the stored key is for %s, and goes to that address only", key.Site).
			advise("log in again: userkeys login " + e.site)
		return
	}
	if !key.ExpiresAt.IsZero() && !e.cfg.Now().Before(key.ExpiresAt) {
		e.find(CheckKey, Problem, "the key ended at %s", key.ExpiresAt.UTC().Format("2006-01-02 15:04:05 UTC")).
			advise(e.loginAgain())
		return
	}
	alive, err := e.alive(ctx)
	if e.userkeysSite() && errors.Is(err, client.ErrNotJSON) {
		alive, err = true, nil // a website's page: userkeys has let the key pass
	}
	var api *client.APIError
	switch {
	case err == nil && alive:
		e.find(CheckKey, OK, "the stored key works; it may %s", key.Scopes)
		defer e.lookAtAnswers(ctx)
	case err == nil:
		e.find(CheckKey, Problem, "the site refuses the stored key: it was revoked, it ended, or its owner may not act "+
			"(sites do not say which)").
			advise(e.loginAgain() + "; if its owner is suspended there, that does not help")
		return
	case errors.As(err, &api) && api.Status >= 300 && api.Status < 400:
		e.find(CheckKey, Problem, "something before the site sends a request with a key to a login page (%d)", api.Status).
			advise("its administrator must let requests with a User-Api-Key header pass")
		return
	case isRefusal(err): // of our own: there is nothing to ask
		e.find(CheckKey, Skipped, "nobody can tell whether the key works: none of its scopes (%s) opens anything that "+
			"only reads", key.Scopes)
	default:
		e.unasked(CheckKey, err)
	}
	e.lookAtEnd()
}

// alive reports whether the key works. Where its scopes allow, it asks what tells of its owner too.
func (e *examination) alive(ctx context.Context) (bool, error) {
	if e.support.MissingScope(e.key.Scopes, http.MethodGet, sessionPath) != "" {
		return e.key.Alive(ctx, e.http)
	}
	var session struct {
		CurrentUser person `json:"current_user"`
	}
	err := e.key.Get(ctx, e.http, sessionPath, &session)
	if err == nil && session.CurrentUser.Username == "" {
		err = client.ErrNotJSON
	}
	e.session = err
	var api *client.APIError
	switch {
	case err == nil:
		e.owner = session.CurrentUser
		return true, nil
	case errors.As(err, &api) && (api.Status == http.StatusForbidden || api.Status == http.StatusNotFound),
		errors.Is(err, client.ErrNotJSON): // an answer, but no session
		return e.key.Alive(ctx, e.http)
	}
	return false, err
}

// lookAtAnswers tries what apps ask first with the scopes that the key was given for it. Before another website
// userkeys answers that only if nothing else does.
func (e *examination) lookAtAnswers(ctx context.Context) {
	if !e.userkeysSite() {
		return // an older Discourse has no totals, and apps know
	}
	if e.support.MissingScope(e.key.Scopes, http.MethodGet, sessionPath) == "" {
		e.answers(sessionPath, "session_info", e.session)
	}
	if e.key.Scopes.Has(userkeys.ScopeNotifications) {
		_, err := e.key.Totals(ctx, e.http)
		e.answers(client.TotalsPath, userkeys.ScopeNotifications, err)
	}
}

// answers tells what err means, which came of asking for path.
func (e *examination) answers(path, scope string, err error) {
	state := Problem
	if !e.key.Scopes.Has(scope) { // it opens path beside much else
		state = Warning
	}
	var api *client.APIError
	switch {
	case err == nil:
		e.find(CheckAnswers, OK, "GET %s is answered", path)
	case errors.As(err, &api) && api.Status == http.StatusNotFound:
		e.find(CheckAnswers, state, "GET %s is answered with 404, and apps with the scope %s ask for it first", path, scope).
			advise("userkeys must answer it: its operator starts it without --own none, or with --own apps")
	case errors.As(err, &api) || errors.Is(err, userkeys.Unavailable):
		e.unasked(CheckAnswers, err)
	default:
		e.find(CheckAnswers, state, "GET %s is answered with something that apps with the scope %s do not understand", path,
			scope).
			advise("if the website has something else there, userkeys must answer it in its place: its operator starts it " +
				"with --own apps")
	}
}

func (e *examination) loginAgain() string {
	return "get a new one: userkeys login " + e.site + " --scopes " + e.key.Scopes.String()
}

// lookAtEnd tells when the key ends.
func (e *examination) lookAtEnd() {
	var rules []string
	if d := e.support.Description; d == nil {
		rules = append(rules, "a Discourse ends keys after 180 days without use, if nobody changed that")
	} else {
		if n := d.Lifetime.UnusedDays; n > 0 {
			rules = append(rules, fmt.Sprintf("the site ends it after %d days without use", n))
		}
		if n := d.Lifetime.MaxLifeDays; n > 0 {
			rules = append(rules, fmt.Sprintf("the site ends it %d days after it was given", n))
		}
	}
	if e.key.ExpiresAt.IsZero() {
		e.find(CheckEnd, OK, "%s", strings.Join(append([]string{"the key has no end of its own"}, rules...), "; "))
		return
	}
	left := e.key.ExpiresAt.Sub(e.cfg.Now())
	says := fmt.Sprintf("the key ends at %s, in %s", e.key.ExpiresAt.UTC().Format("2006-01-02 15:04:05 UTC"), days(left))
	switch {
	case left >= expiresSoon:
		e.find(CheckEnd, OK, "%s", says)
	case e.userkeysSite() && e.key.KeyPair != nil:
		e.find(CheckEnd, Warning, "%s", says).
			advise("renew it in time: the site gives a new one in its place without asking the person")
	default:
		e.find(CheckEnd, Warning, "%s", says).advise(e.loginAgain())
	}
}

// lookAtCalls compares what the app will do with what the key may, or would.
func (e *examination) lookAtCalls(context.Context) {
	scopes, whose := e.cfg.Scopes, "asked for"
	if e.key != nil {
		scopes, whose = e.key.Scopes, "of the key"
	}
	for _, c := range e.cfg.Calls {
		missing := e.support.MissingScope(scopes, c.Method, c.Path)
		switch {
		case c.Method == http.MethodHead && !e.userkeysSite():
			e.find(CheckCall, Problem, "%s: a Discourse takes no key with HEAD, whatever its scopes", c).advise("use GET")
		case e.support.MissingScope(nil, c.Method, c.Path) == "":
			e.find(CheckCall, Warning, "%s: no scope that is known here opens this", c).advise("check method and path")
		case missing == "":
			e.find(CheckCall, OK, "%s: the scopes %s (%s) suffice", c, whose, scopes)
		default:
			more := append(slices.Clone(scopes), missing)
			e.find(CheckCall, Problem, "%s: the scope %s is missing; the scopes %s are %s", c, missing, whose, scopes).
				advise("ask for it: userkeys login " + e.site + " --scopes " + more.String() + "; the site must allow it (" +
					scopeSetting + ")")
		}
	}
}
