package discourse

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"userkeys"
)

// labels are the permissions in words.
var labels = map[string]string{
	"read":               "Read all",
	"write":              "Write all",
	"message_bus":        "Live updates",
	"push":               "Push notifications to external services",
	"notifications":      "Read and clear notifications",
	"session_info":       "Read user session info",
	"one_time_password":  "Create a one-time login token",
	"bookmarks_calendar": "Read bookmark reminders",
	"user_status":        "Read and update user status",
}

func localized(scopes []string) []string {
	out := []string{}
	for _, s := range scopes {
		out = append(out, labels[s])
	}
	return out
}

// requiredOf are the parameters that a request for a key must have, in the
// order in which their absence is noticed.
var requiredOf = map[Era][]string{
	Old:    {"public_key", "nonce", "scopes", "client_id", "application_name"},
	Middle: {"nonce", "scopes", "client_id", "public_key", "application_name"},
	New:    {"nonce", "scopes", "client_id", "public_key", "application_name"},
}

// splitScopes splits as Ruby does: empty ones at the end are dropped, others are not.
func splitScopes(text string) []string {
	if strings.Trim(text, ",") == "" {
		return nil
	}
	return strings.Split(strings.TrimRight(text, ","), ",")
}

// A check is one of the things that are asked of a request; it fills in the grant.
type check func(*call, *grant) error

func (c *call) check(g *grant, checks ...check) error {
	for _, ask := range checks {
		if err := ask(c, g); err != nil {
			return err
		}
	}
	return nil
}

func checkPresence(c *call, g *grant) error {
	g.application, g.clientID, g.nonce = c.param("application_name"), c.param("client_id"), c.param("nonce")
	g.pushURL, g.redirect, g.scopes = c.param("push_url"), c.param("auth_redirect"), splitScopes(c.param("scopes"))
	return c.require(requiredOf[c.s.Era]...)
}

func checkScopes(c *call, g *grant) error {
	allowed := c.s.list("allow_user_api_key_scopes")
	for _, scope := range g.scopes {
		if !slices.Contains(allowed, scope) || labels[scope] == "" {
			return errInvalidAccess
		}
	}
	return nil
}

// checkKey: what cannot be read as a key crashed the site before the newest era.
func checkKey(c *call, g *grant) error {
	k, err := userkeys.ParsePublicKey(c.param("public_key"))
	if err != nil && c.s.Era != New {
		return errCrash
	}
	if err != nil {
		return invalidParameter(err.Error())
	}
	g.public = k
	return nil
}

// checkPadding: before the newest era the parameter meant nothing.
func checkPadding(c *call, g *grant) error {
	g.padding = userkeys.PaddingPKCS1
	switch p := c.param("padding"); {
	case c.s.Era != New || blank(p) || p == "pkcs1":
	case p == "oaep":
		g.padding = userkeys.PaddingOAEP
	default:
		return errPadding
	}
	return nil
}

var errPadding = invalidParameter("padding must be pkcs1 or oaep")

// checkRedirect: in the newest era an empty address is refused like any other that is not listed.
func checkRedirect(c *call, g *grant) error {
	given := !blank(g.redirect) || c.s.Era == New && c.has("auth_redirect")
	if given && !c.s.redirectAllowed(g.redirect) {
		return errInvalidAccess
	}
	return nil
}

func checkTrust(c *call, _ *grant) error {
	if !c.s.mayGrant(c.user) {
		return errInvalidAccess
	}
	return nil
}

func checkExpiry(c *call, g *grant) error {
	text := c.param("expires_in_seconds")
	if c.s.Era != New || blank(text) {
		return nil
	}
	n, err := strconv.Atoi(text)
	most := c.s.number("max_user_api_key_expiry_days") * 86400
	if err != nil || len(text) > 10 || strings.Trim(text, "0123456789") != "" || n <= 0 || n > most {
		return invalidParameter("expires_in_seconds")
	}
	g.lifetime = time.Duration(n) * time.Second
	return nil
}

// consent is the page that asks the user. What is wrong with a request shows
// before anybody has to sign in.
func (c *call) consent() (answer, error) {
	if c.json && c.s.Era != New {
		return newAnswer(http.StatusNotAcceptable, jsonType, nil), nil
	}
	var g grant
	if err := c.check(&g, checkPresence); err != nil {
		return answer{}, err
	}
	checks := []check{checkScopes, checkKey}
	if c.s.Era == New {
		checks = append(checks, checkPadding, checkRedirect, checkExpiry)
	}
	switch err := c.check(&g, checks...); {
	case err == nil:
	case errors.Is(err, errPadding), errors.Is(err, errCrash):
		return answer{}, err
	default:
		return c.state(map[string]any{"state": "generic_error"}, genericErrorPage), nil
	}
	if c.user == nil {
		return c.toLogin(c.r.URL.RequestURI()), nil
	}
	if !c.s.mayGrant(c.user) {
		return c.state(map[string]any{
			"state": "no_trust_level", "application_name": g.application, "current_user": c.me(),
		}, noTrustPage), nil
	}
	model := c.consentModel(g)
	return c.state(model, c.consentPage(g)), nil
}

// state answers with a model as JSON, or with a page for it.
func (c *call) state(model map[string]any, html string) answer {
	if c.json {
		return data(model)
	}
	return page(http.StatusOK, html)
}

func (c *call) me() map[string]string {
	return map[string]string{"username": c.user.Name, "avatar_template": avatar(c.user)}
}

func (c *call) consentModel(g grant) map[string]any {
	m := map[string]any{
		"state": "ready", "current_user": c.me(),
		"application_name": g.application, "client_id": g.clientID, "nonce": g.nonce, "push_url": g.pushURL,
		"auth_redirect": g.redirect, "redirect_uri": shownHost(g.redirect),
		"public_key": c.param("public_key"), "padding": c.param("padding"),
		"scopes": c.param("scopes"), "localized_scopes": localized(g.scopes),
		"write_scope":        slices.Contains(g.scopes, "write"),
		"expires_in_seconds": c.param("expires_in_seconds"), "expires_at": nil,
	}
	if g.lifetime > 0 {
		m["expires_at"] = stamp(c.now.Add(g.lifetime))
	}
	return m
}

// createChecks are what is asked of a grant, in each era's order; that
// somebody is signed in was asked before.
var createChecks = map[Era][]check{
	Old:    {checkPresence, checkRedirect, checkTrust, checkScopes, checkKey, checkPadding},
	Middle: {checkPresence, checkRedirect, checkTrust, checkScopes, checkKey, checkPadding},
	New:    {checkPresence, checkScopes, checkKey, checkPadding, checkRedirect, checkTrust, checkExpiry},
}

// create makes the key that the user agreed to, and sends the answer on its way.
func (c *call) create() (answer, error) {
	var g grant
	if err := c.check(&g, createChecks[c.s.Era]...); err != nil {
		return answer{}, err
	}
	payload, err := c.s.seal(c.s.addKey(c.user, g, c.now), g)
	if err != nil {
		return answer{}, err
	}
	if blank(g.redirect) {
		instructions := "Paste the following into " + g.application + ":"
		if c.json {
			return data(map[string]string{"payload": payload, "instructions": instructions}), nil
		}
		return page(http.StatusOK, resultPage(instructions, payload)), nil
	}
	to := withParameter(g.redirect, "payload", payload)
	if c.json && c.s.Era == New {
		return data(map[string]string{"redirect_url": to}), nil
	}
	return redirect(to), nil
}
