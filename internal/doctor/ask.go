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
	if e.cfg.KeyPair == nil {
		pair, err := client.NewKeyPair(examinationBits)
		if err != nil {
			return err
		}
		e.cfg.KeyPair = pair
	}
	r := client.Request{
		Site: e.site, ApplicationName: "userkeys doctor", ClientID: client.RandomID(), Scopes: scopes,
		KeyPair: e.cfg.KeyPair,
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
		says, advice := refusedUs(api)
		e.find(c, Warning, "cannot be asked now: %s", says).advise(advice)
		return
	}
	switch {
	case e.over() != nil:
		e.find(c, Skipped, noTimeLeft)
	case errors.Is(err, context.DeadlineExceeded):
		e.find(c, Warning, "cannot be asked now: there was no answer within %v", e.cfg.Patience).advise("run this again")
	default:
		e.find(c, Warning, "cannot be asked now: %s", client.Explain(err)).advise("run this again")
	}
}

const (
	gaveNoKeys   = "not asked: the site gives no new keys"
	noScopeLeft  = "not asked: none of the scopes is allowed"
	noScopeKnown = "not asked: the site did not answer about the scopes"
	noTimeLeft   = "there was no time left to look at this"
	scopeSetting = "allow_user_api_key_scopes"
)

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

// tellsRedirects reports whether the site looks at auth_redirect before it asks the person.
func (e *examination) tellsRedirects() bool { return e.userkeysSite() || e.support.DeviceCode }

const redirectSetting = "allowed_user_api_auth_redirects"

// lookAtRedirect asks about the address of the app.
func (e *examination) lookAtRedirect(ctx context.Context) {
	to, err := userkeys.ParseRedirect(e.cfg.Redirect)
	if err != nil {
		e.find(CheckRedirect, Problem, "%s", userkeys.AsError(err).Public).
			advise("give an address such as https://app.example/done or myapp://done")
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
		e.find(CheckRedirect, Problem, "a Discourse sends no answer to an address without a host: %s", to).
			advise("write it with two slashes and a host, such as myapp://done")
		return
	}
	if why := e.unaskable(); why != "" {
		e.find(CheckRedirect, Skipped, "%s", why).advise(advice)
		return
	}
	if !e.tellsRedirects() {
		e.find(CheckRedirect, Skipped, "a Discourse of this age looks at the address only when the person approves").
			advise("if the answer does not come back, " + advice)
		return
	}
	err = e.ask(ctx, e.allowed, func(r *client.Request) { r.AuthRedirect = e.cfg.Redirect })
	switch {
	case err == nil:
		e.find(CheckRedirect, OK, "answers may be sent to %s", to)
	case isRefusal(err):
		e.find(CheckRedirect, Problem, "the site does not send answers to %s", to).advise(advice)
	default:
		e.unasked(CheckRedirect, err)
	}
}

// lookAtLoopback reports whether a program on the person's machine can have the answer sent to it.
func (e *examination) lookAtLoopback(ctx context.Context) {
	why, instead := e.unaskable(), "login lets the person copy the answer (--paste)"
	if e.support.DeviceCode {
		instead = "login by a code on any device works (the device flow)"
	}
	const works = "a browser on this machine can bring the answer back to a program on it"
	says := "the site does not send answers to programs on the person's machine; " + instead
	switch {
	case why != "":
		e.find(CheckLoopback, Skipped, "%s", why)
		return
	case e.userkeysSite() && e.support.Description.Redirects.Loopback:
		e.find(CheckLoopback, OK, works)
		return
	case e.userkeysSite():
		e.find(CheckLoopback, Warning, "%s", says).
			advise("an administrator can set allow_user_api_key_loopback_redirects to true")
		return
	case !e.tellsRedirects():
		e.find(CheckLoopback, Skipped, "a Discourse of this age looks at it only when the person approves; %s", instead)
		return
	}
	address := "http://127.0.0.1:49152/answer/" + client.RandomID()
	err := e.ask(ctx, e.allowed, func(r *client.Request) { r.AuthRedirect = address })
	switch {
	case err == nil:
		e.find(CheckLoopback, OK, works)
	case isRefusal(err):
		e.find(CheckLoopback, Warning, "%s", says).
			advise("nothing needs to change: Discourse compares the port, so that no line of " + redirectSetting +
				" allows every program")
	default:
		e.unasked(CheckLoopback, err)
	}
}

// lookAtPush says what can be known of a push URL before a key is given.
func (e *examination) lookAtPush(context.Context) {
	const setting = "allowed_user_api_push_urls"
	u, err := url.Parse(e.cfg.PushURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		e.find(CheckPush, Problem, "%s is no http or https address", e.cfg.PushURL).
			advise("give an address such as https://push.example/hook")
	case !e.cfg.Scopes.Has(userkeys.ScopePush) && !e.cfg.Scopes.Has(userkeys.ScopeNotifications):
		e.find(CheckPush, Problem, "nothing is pushed to a key without one of the scopes notifications and push").
			advise("ask for the scope notifications or push too")
	case e.unaskable() == gaveNoKeys || e.unsure:
		e.find(CheckPush, Skipped, "%s", e.unaskable())
	case !e.allowed.Has(userkeys.ScopePush) && !e.allowed.Has(userkeys.ScopeNotifications):
		e.find(CheckPush, Problem, "nothing is pushed: the site allows neither of the scopes notifications and push").
			advise("have an administrator add the scope notifications or push to " + scopeSetting)
	case client.PlainHTTP(e.cfg.PushURL):
		e.find(CheckPush, Warning, "%s is plain http: whoever is on the way can read the notifications", e.cfg.PushURL).
			advise("use https")
	default:
		e.find(CheckPush, Skipped,
			"whether the site pushes there it tells only in the answer that has the key (push: true)").
			advise("if it says push: false, an administrator can add this line to " + setting + ": " + e.cfg.PushURL)
	}
}

// lookAtLifetime reports whether an app may ask for keys that end by themselves, and so soon.
func (e *examination) lookAtLifetime(ctx context.Context) {
	const setting = "max_user_api_key_expiry_days"
	asked := e.cfg.ExpiresIn
	if asked < 0 || asked%time.Second != 0 {
		e.find(CheckLifetime, Problem, "a lifetime is a whole number of seconds, not %v", asked).
			advise("give a lifetime such as 720h")
		return
	}
	if why := e.unaskable(); why != "" {
		e.find(CheckLifetime, Skipped, "%s", why)
		return
	}
	if !e.tellsRedirects() { // the same generation brought both
		e.find(CheckLifetime, Warning, "a Discourse of this age ignores the lifetime that an app asks for").
			advise("do not count on the end: revoke the key when it is not needed any more")
		return
	}
	err := e.ask(ctx, e.allowed, func(r *client.Request) { r.ExpiresIn = asked })
	switch {
	case err == nil:
		e.find(CheckLifetime, OK, "a key may end after %s", days(asked))
	case isRefusal(err):
		says := "a key cannot end after " + days(asked) + " here"
		if d := e.support.Description; d != nil && d.Lifetime.MaxSeconds > 0 {
			says += ", at most after " + days(time.Duration(d.Lifetime.MaxSeconds)*time.Second)
		}
		e.find(CheckLifetime, Problem, "%s", says).
			advise("ask for a shorter one or none; an administrator can raise " + setting)
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
