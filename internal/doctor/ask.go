package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
)

// ask looks whether the site would put a request to a person, and bothers nobody.
func (e *examination) ask(ctx context.Context, scopes userkeys.Scopes, change func(*client.Request)) error {
	if e.p.KeyPair == nil {
		pair, err := client.NewKeyPair(examinationBits)
		if err != nil {
			return err
		}
		e.p.KeyPair = pair
	}
	r := client.Request{
		Site: e.site, ApplicationName: "userkeys doctor", ClientID: client.RandomID(), Scopes: scopes,
		KeyPair: e.p.KeyPair,
	}
	if change != nil {
		change(&r)
	}
	a, err := client.Begin(r)
	if err != nil {
		return err
	}
	return a.Check(ctx, e.http)
}

// isRefusal tells a no to the request from an answer that is about something else, such as a limit.
func isRefusal(err error) bool {
	var api *client.APIError
	var e *userkeys.Error
	return !errors.As(err, &api) && errors.As(err, &e) && e.Code != userkeys.Unavailable && e.Code != userkeys.Internal
}

// unasked is the finding of a question that got no answer to it.
func (e *examination) unasked(c Check, err error) {
	var api *client.APIError
	if errors.As(err, &api) {
		says, advice := e.refusedUs(api)
		e.find(c, Warning, advice, "cannot be asked now: %s", says)
		return
	}
	switch {
	case e.over() != nil:
		e.find(c, Skipped, "", noTimeLeft)
	case errors.Is(err, context.DeadlineExceeded):
		e.find(c, Warning, "run this again", "cannot be asked now: there was no answer within %v", e.p.Patience)
	default:
		e.find(c, Warning, "run this again", "cannot be asked now: %s", client.Explain(err))
	}
}

const (
	gaveNoKeys   = "not asked: the site gives no new keys"
	noScopeLeft  = "not asked: none of the scopes is allowed"
	noScopeKnown = "not asked: the site did not answer about the scopes"
	noTimeLeft   = "there was no time left to look at this"
	scopeSetting = "allow_user_api_key_scopes"
)

// lookAtScopes asks for all scopes at once, and one by one where the site does not say which it refuses.
func (e *examination) lookAtScopes(ctx context.Context) {
	if e.closed {
		e.find(CheckScope, Skipped, "", gaveNoKeys)
		return
	}
	err := e.ask(ctx, e.p.Scopes, nil)
	switch {
	case errors.Is(err, userkeys.UserNotAllowed):
		e.trustErr = err
		e.allowAll()
	case err == nil:
		e.allowAll()
	case !isRefusal(err):
		e.unsure = true
		e.unasked(CheckScope, err)
	case errors.Is(err, userkeys.KeysNotAllowed):
		e.closed = true
		e.find(CheckScope, Problem, "an administrator can set allow_user_api_keys to true",
			"%s", userkeys.AsError(err).Public)
	case e.userkeysSite() && errors.Is(err, userkeys.ScopeNotAllowed):
		e.scopesAsDescribed()
	default:
		e.scopesOneByOne(ctx, err)
	}
}

func (e *examination) allowAll() {
	e.allowed = e.p.Scopes
	for _, name := range e.p.Scopes {
		e.find(CheckScope, OK, "", "%s: allowed", name)
	}
}

func (e *examination) scopesAsDescribed() {
	var names userkeys.Scopes
	for _, s := range e.support.Description.Scopes {
		names = append(names, s.Name)
	}
	for _, name := range e.p.Scopes {
		if names.Has(name) {
			e.scopeAllowed(name)
			continue
		}
		e.find(CheckScope, Problem, addScope(name), "%s: not allowed; the site allows %s", name, names)
	}
}

func (e *examination) scopeAllowed(name string) {
	e.allowed = append(e.allowed, name)
	e.find(CheckScope, OK, "", "%s: allowed", name)
}

func addScope(name string) string {
	return "ask without it, or have an administrator add it to the setting " + scopeSetting + ": " + name
}

// scopesOneByOne finds out which scope it is that a site refuses without a reason; refusal is its no to all of them.
func (e *examination) scopesOneByOne(ctx context.Context, refusal error) {
	var refused userkeys.Scopes
	for i, name := range e.p.Scopes {
		if i == maxScopesOneByOne {
			e.find(CheckScope, Skipped, "ask for fewer", "%s: not asked; only %d are tried one by one", e.p.Scopes[i:],
				maxScopesOneByOne)
			break
		}
		err := refusal
		if len(e.p.Scopes) > 1 {
			err = e.ask(ctx, userkeys.Scopes{name}, nil)
		}
		switch {
		case err == nil:
			e.scopeAllowed(name)
		case isRefusal(err):
			refused = append(refused, name)
		default:
			e.unsure = true
			e.unasked(CheckScope, err)
			return
		}
	}
	if len(refused) == 0 {
		if len(e.allowed) > 0 {
			e.find(CheckScope, Warning, "ask for fewer scopes", "each scope is allowed alone, but not all of them together")
		}
		return
	}
	if len(e.allowed) == 0 && (e.p.Scopes.Has(userkeys.ScopeRead) ||
		e.ask(ctx, userkeys.Scopes{userkeys.ScopeRead}, nil) != nil) {
		e.find(CheckScope, Problem, "have an administrator look at "+scopeSetting+" and, of older sites, allow_user_api_keys",
			"%s: refused without a reason; nothing else is allowed either, so it may be the whole feature that is off", refused)
		return
	}
	for _, name := range refused {
		e.find(CheckScope, Problem, addScope(name), "%s: not allowed", name)
	}
}

// unaskable is why nothing about a request can be asked; empty if it can.
func (e *examination) unaskable() string {
	switch {
	case e.closed:
		return gaveNoKeys
	case len(e.allowed) == 0 && e.unsure:
		return noScopeKnown
	case len(e.allowed) == 0:
		return noScopeLeft
	}
	return ""
}

// tellsRedirects tells whether the site looks at auth_redirect before it asks the person.
func (e *examination) tellsRedirects() bool { return e.userkeysSite() || e.support.DeviceCode }

const redirectSetting = "allowed_user_api_auth_redirects"

// lookAtRedirect asks about the address of the app.
func (e *examination) lookAtRedirect(ctx context.Context) {
	to, err := userkeys.ParseRedirect(e.p.Redirect)
	if err != nil {
		e.find(CheckRedirect, Problem, "give an address such as https://app.example/done or myapp://done",
			"%s", userkeys.AsError(err).Public)
		return
	}
	line := to.String()
	if e.userkeysSite() {
		line = to.SuggestedRule()
	}
	advice := "an administrator can add this line to " + redirectSetting + ": " + line
	if e.userkeysSite() && to.Loopback() {
		advice += " (or set allow_user_api_key_loopback_redirects to true, for any port)"
	}
	if !e.userkeysSite() && to.Host() == "" {
		e.find(CheckRedirect, Problem, "write it with two slashes and a host, such as myapp://done",
			"a Discourse sends no answer to an address without a host: %s", to)
		return
	}
	if why := e.unaskable(); why != "" {
		e.find(CheckRedirect, Skipped, advice, "%s", why)
		return
	}
	if !e.tellsRedirects() {
		e.find(CheckRedirect, Skipped, "if the answer does not come back, "+advice,
			"a Discourse of this age looks at the address only when the person approves")
		return
	}
	err = e.ask(ctx, e.allowed, func(r *client.Request) { r.AuthRedirect = e.p.Redirect })
	switch {
	case err == nil:
		e.find(CheckRedirect, OK, "", "answers may be sent to %s", to)
	case isRefusal(err):
		e.find(CheckRedirect, Problem, advice, "the site does not send answers to %s", to)
	default:
		e.unasked(CheckRedirect, err)
	}
}

// lookAtLoopback tells whether a program on the person's machine can have the answer sent to it.
func (e *examination) lookAtLoopback(ctx context.Context) {
	why, instead := e.unaskable(), "login lets the person copy the answer (--paste)"
	if e.support.DeviceCode {
		instead = "login by a code on any device works (the device flow)"
	}
	switch {
	case why != "":
		e.find(CheckLoopback, Skipped, "", "%s", why)
		return
	case e.userkeysSite() && e.support.Description.Redirects.Loopback:
		e.find(CheckLoopback, OK, "", "a browser on this machine can bring the answer back to a program on it")
		return
	case e.userkeysSite():
		e.find(CheckLoopback, Warning, "an administrator can set allow_user_api_key_loopback_redirects to true",
			"the site does not send answers to programs on the person's machine; %s", instead)
		return
	case !e.tellsRedirects():
		e.find(CheckLoopback, Skipped, "", "a Discourse of this age looks at it only when the person approves; %s", instead)
		return
	}
	err := e.ask(ctx, e.allowed, func(r *client.Request) {
		r.AuthRedirect = "http://127.0.0.1:49152/answer/" +
			client.RandomID()
	})
	switch {
	case err == nil:
		e.find(CheckLoopback, OK, "", "a browser on this machine can bring the answer back to a program on it")
	case isRefusal(err):
		e.find(CheckLoopback, Warning, "nothing needs to change: Discourse compares the port, so that no line of "+
			redirectSetting+" allows every program",
			"the site does not send answers to programs on the person's machine; %s", instead)
	default:
		e.unasked(CheckLoopback, err)
	}
}

// lookAtPush says what can be known of a push URL before a key is given.
func (e *examination) lookAtPush(context.Context) {
	const setting = "allowed_user_api_push_urls"
	u, err := url.Parse(e.p.PushURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		e.find(CheckPush, Problem, "give an address such as https://push.example/hook",
			"%s is no http or https address", e.p.PushURL)
	case !e.p.Scopes.Has(userkeys.ScopePush) && !e.p.Scopes.Has(userkeys.ScopeNotifications):
		e.find(CheckPush, Problem, "ask for the scope notifications or push too",
			"nothing is pushed to a key without one of the scopes notifications and push")
	case e.unaskable() == gaveNoKeys || e.unsure:
		e.find(CheckPush, Skipped, "", "%s", e.unaskable())
	case !e.allowed.Has(userkeys.ScopePush) && !e.allowed.Has(userkeys.ScopeNotifications):
		e.find(CheckPush, Problem, "have an administrator add the scope notifications or push to "+scopeSetting,
			"nothing is pushed: the site allows neither of the scopes notifications and push")
	case client.PlainHTTP(e.p.PushURL):
		e.find(CheckPush, Warning, "use https", "%s is plain http: whoever is on the way can read the notifications",
			e.p.PushURL)
	default:
		e.find(CheckPush, Skipped, "if it says push: false, an administrator can add this line to "+setting+": "+e.p.PushURL,
			"whether the site pushes there it tells only in the answer that has the key (push: true)")
	}
}

// lookAtLifetime tells whether an app may ask for keys that end by themselves, and so soon.
func (e *examination) lookAtLifetime(ctx context.Context) {
	const setting = "max_user_api_key_expiry_days"
	asked := e.p.ExpiresIn
	if asked < 0 || asked%time.Second != 0 {
		e.find(CheckLifetime, Problem, "give a lifetime such as 720h",
			"a lifetime is a whole number of seconds, not %v", asked)
		return
	}
	if why := e.unaskable(); why != "" {
		e.find(CheckLifetime, Skipped, "", "%s", why)
		return
	}
	if !e.tellsRedirects() { // the same generation brought both
		e.find(CheckLifetime, Warning, "do not count on the end: revoke the key when it is not needed any more",
			"a Discourse of this age ignores the lifetime that an app asks for")
		return
	}
	err := e.ask(ctx, e.allowed, func(r *client.Request) { r.ExpiresIn = asked })
	switch {
	case err == nil:
		e.find(CheckLifetime, OK, "", "a key may end after %s", days(asked))
	case isRefusal(err):
		says := "a key cannot end after " + days(asked) + " here"
		if d := e.support.Description; d != nil && d.Lifetime.MaxSeconds > 0 {
			says += ", at most after " + days(time.Duration(d.Lifetime.MaxSeconds)*time.Second)
		}
		e.find(CheckLifetime, Problem, "ask for a shorter one or none; an administrator can raise "+setting, "%s", says)
	default:
		e.unasked(CheckLifetime, err)
	}
}

// A Call is a request that an app will make with its key.
type Call struct{ Method, Path string }

// ParseCall reads a call as "GET /notifications.json".
func ParseCall(text string) (Call, error) {
	words := strings.Fields(text)
	if len(words) == 1 {
		words = []string{"GET", words[0]}
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
	if len(words) != 2 || !slices.Contains(methods, strings.ToUpper(words[0])) || !strings.HasPrefix(words[1], "/") {
		return Call{}, userkeys.Errorf(userkeys.InvalidParameters,
			"%q is no call; write one such as \"GET /notifications.json\"", text)
	}
	return Call{strings.ToUpper(words[0]), words[1]}, nil
}

// String is the call as [ParseCall] reads it.
func (c Call) String() string { return fmt.Sprintf("%s %s", c.Method, c.Path) }
