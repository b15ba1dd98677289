package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"userkeys"
	"userkeys/client"
)

// lookAtKey asks whether the stored key still works, and tells when it ends.
func (e *examination) lookAtKey(ctx context.Context) {
	key, err := e.p.OpenKey(e.site)
	if typed, _ := client.ParseSite(e.p.Site); err == nil && key == nil && typed != "" && typed != e.site {
		key, err = e.p.OpenKey(typed)
	}
	switch {
	case err != nil:
		e.find(CheckKey, Warning, "", "not looked at: %s", userkeys.AsError(err).Public)
		return
	case key == nil:
		e.find(CheckKey, Skipped, "get one: userkeys login "+e.site, "there is no stored key for the site")
		return
	}
	e.key = key
	if key.Site != e.site {
		e.find(CheckKey, Problem, "log in again: userkeys login "+e.site,
			"the stored key is for %s, and goes to that address only", key.Site)
		return
	}
	if !key.ExpiresAt.IsZero() && !e.p.Now().Before(key.ExpiresAt) {
		e.find(CheckKey, Problem, e.loginAgain(), "the key ended at %s",
			key.ExpiresAt.UTC().Format("2006-01-02 15:04:05 UTC"))
		return
	}
	alive, err := e.alive(ctx)
	if e.userkeysSite() && errors.Is(err, client.ErrNotJSON) {
		alive, err = true, nil // a website's page: userkeys has let the key pass
	}
	var api *client.APIError
	switch {
	case err == nil && alive:
		e.find(CheckKey, OK, "", "the stored key works; it may %s", key.Scopes)
		defer e.lookAtAnswers(ctx)
	case err == nil:
		e.find(CheckKey, Problem, e.loginAgain()+"; if its owner is suspended there, that does not help",
			"the site refuses the stored key: it was revoked, it ended, or its owner may not act (sites do not say which)")
		return
	case errors.As(err, &api) && api.Status >= 300 && api.Status < 400:
		e.find(CheckKey, Problem, "its administrator must let requests with a User-Api-Key header pass",
			"something before the site sends a request with a key to a login page (%d)", api.Status)
		return
	case isRefusal(err): // of our own: there is nothing to ask
		e.find(CheckKey, Skipped, "", "nobody can tell whether the key works: none of its scopes (%s) opens anything that "+
			"only reads", key.Scopes)
	default:
		e.unasked(CheckKey, err)
	}
	e.lookAtEnd()
}

// alive tells whether the key works. Where its scopes allow, it asks what tells of its owner too.
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
		e.find(CheckAnswers, OK, "", "GET %s is answered", path)
	case errors.As(err, &api) && api.Status == http.StatusNotFound:
		e.find(CheckAnswers, state, "userkeys must answer it: its operator starts it without --own none, or with --own apps",
			"GET %s is answered with 404, and apps with the scope %s ask for it first", path, scope)
	case errors.As(err, &api) || errors.Is(err, userkeys.Unavailable):
		e.unasked(CheckAnswers, err)
	default:
		e.find(CheckAnswers, state, "if the website has something else there, userkeys must answer it in its place: its "+
			"operator starts it with --own apps",
			"GET %s is answered with something that apps with the scope %s do not understand", path, scope)
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
		e.find(CheckEnd, OK, "", "%s", strings.Join(append([]string{"the key has no end of its own"}, rules...), "; "))
		return
	}
	left := e.key.ExpiresAt.Sub(e.p.Now())
	says := fmt.Sprintf("the key ends at %s, in %s", e.key.ExpiresAt.UTC().Format("2006-01-02 15:04:05 UTC"), days(left))
	switch {
	case left >= expiresSoon:
		e.find(CheckEnd, OK, "", "%s", says)
	case e.userkeysSite() && e.key.KeyPair != nil:
		e.find(CheckEnd, Warning, "renew it in time: the site gives a new one in its place without asking the person",
			"%s", says)
	default:
		e.find(CheckEnd, Warning, e.loginAgain(), "%s", says)
	}
}

// lookAtCalls compares what the app will do with what the key may, or would.
func (e *examination) lookAtCalls(context.Context) {
	scopes, whose := e.p.Scopes, "asked for"
	if e.key != nil {
		scopes, whose = e.key.Scopes, "of the key"
	}
	for _, c := range e.p.Calls {
		missing := e.support.MissingScope(scopes, c.Method, c.Path)
		switch {
		case c.Method == http.MethodHead && !e.userkeysSite():
			e.find(CheckCall, Problem, "use GET", "%s: a Discourse takes no key with HEAD, whatever its scopes", c)
		case e.support.MissingScope(nil, c.Method, c.Path) == "":
			e.find(CheckCall, Warning, "check method and path", "%s: no scope that is known here opens this", c)
		case missing == "":
			e.find(CheckCall, OK, "", "%s: the scopes %s (%s) suffice", c, whose, scopes)
		default:
			more := append(slices.Clone(scopes), missing)
			e.find(CheckCall, Problem, "ask for it: userkeys login "+e.site+" --scopes "+more.String()+
				"; the site must allow it ("+scopeSetting+")",
				"%s: the scope %s is missing; the scopes %s are %s", c, missing, whose, scopes)
		}
	}
}

// lookAtOrigin asks what a browser asks before a page of another origin may use the key, and then
// reads an answer as that page would.
func (e *examination) lookAtOrigin(ctx context.Context) {
	origin := e.p.Origin
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host || origin != strings.ToLower(origin) {
		e.find(CheckPreflight, Problem, "give scheme, host and port as browsers write them: https://app.example",
			"%s is no origin: it has no path and no slash at the end, and is in lower case", origin)
		return
	}
	c := Call{http.MethodGet, sessionPath}
	if len(e.p.Calls) > 0 {
		c = e.p.Calls[0]
	}
	e.preflight(ctx, c)
	e.crossOrigin(ctx)
}

func (e *examination) preflight(ctx context.Context, c Call) {
	headers := []string{"user-api-key"}
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		headers = []string{"content-type", "user-api-key"}
	}
	resp, err := e.send(ctx, http.MethodOptions, e.site+c.Path, http.Header{
		"Origin": {e.p.Origin}, "Access-Control-Request-Method": {c.Method},
		"Access-Control-Request-Headers": {strings.Join(headers, ",")},
	})
	if err != nil {
		e.unasked(CheckPreflight, err)
		return
	}
	faults := e.originFaults(resp)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		faults = append(faults, fmt.Sprintf("the preflight is answered with %d instead of a success", resp.StatusCode))
	}
	for _, h := range headers {
		if !listed(resp.Header, "Access-Control-Allow-Headers", h) {
			faults = append(faults, "Access-Control-Allow-Headers lacks "+http.CanonicalHeaderKey(h))
		}
	}
	simple := c.Method == http.MethodGet || c.Method == http.MethodHead || c.Method == http.MethodPost
	if !simple && !listed(resp.Header, "Access-Control-Allow-Methods", c.Method) {
		faults = append(faults, "Access-Control-Allow-Methods lacks "+c.Method)
	}
	e.judgeOrigin(CheckPreflight, faults, "a page of "+e.p.Origin+" may send "+c.Method+" with a key")
}

// crossOrigin reads without the key: what is allowed to a page does not depend on it.
func (e *examination) crossOrigin(ctx context.Context) {
	resp, err := e.send(ctx, http.MethodGet, e.site+sessionPath,
		http.Header{"Origin": {e.p.Origin}, "Accept": {"application/json"}})
	if err != nil {
		e.unasked(CheckCORS, err)
		return
	}
	works := "and may read the answer"
	if !listed(resp.Header, "Access-Control-Expose-Headers", "Retry-After") {
		works += ", but not Retry-After (Access-Control-Expose-Headers lacks it)"
	}
	e.judgeOrigin(CheckCORS, e.originFaults(resp), works)
}

func (e *examination) judgeOrigin(c Check, faults []string, works string) {
	if len(faults) == 0 {
		e.find(c, OK, "", "%s", works)
		return
	}
	advice := "an administrator can add this line to cors_origins: " + e.p.Origin
	if !e.userkeysSite() {
		advice += "; a Discourse also needs DISCOURSE_ENABLE_CORS: true in its app.yml, and a rebuild"
	}
	e.find(c, Problem, advice, "a browser refuses it: %s", strings.Join(faults, "; "))
}

// originFaults is what is missing for the page to read the answer.
func (e *examination) originFaults(resp *http.Response) []string {
	switch allowed := resp.Header.Get("Access-Control-Allow-Origin"); allowed {
	case e.p.Origin, "*":
		return nil
	case "":
		return []string{"the header Access-Control-Allow-Origin is missing"}
	default:
		return []string{"Access-Control-Allow-Origin allows " + allowed + ", not " + e.p.Origin}
	}
}

// listed tells whether a header that is a list has a word, in any case; * is any but in the way of credentials,
// which keys are not.
func listed(h http.Header, name, word string) bool {
	for _, line := range h.Values(name) {
		for w := range strings.SplitSeq(line, ",") {
			if w = strings.TrimSpace(w); w == "*" || strings.EqualFold(w, word) {
				return true
			}
		}
	}
	return false
}
