package discourse

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"userkeys"
)

// A session is a browser's, signed in or not: it holds what forms must repeat.
type session struct{ token string }

// The cookies. They are Lax, so that pages which apps open see who is signed in.
const (
	sessionCookie     = "_forum_session"
	loginCookie       = "_t"
	destinationCookie = "destination_url"
)

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // crypto/rand.Read never fails
	return hex.EncodeToString(b)
}

func (c *call) cookie(name string) string {
	k, err := c.r.Cookie(name)
	if err != nil {
		return ""
	}
	return k.Value
}

func (c *call) setCookie(k http.Cookie) {
	k.Path = "/"
	k.SameSite = http.SameSiteLaxMode
	c.header.Add("Set-Cookie", k.String())
}

// cookieUser is who is signed in by cookie; nil if nobody.
func (c *call) cookieUser() *User { return c.s.logins[c.cookie(loginCookie)] }

// csrfToken is what the browser's forms must repeat; it starts a session if there is none.
func (c *call) csrfToken() string {
	if c.session == nil {
		c.session = c.s.sessions[c.cookie(sessionCookie)]
	}
	if c.session == nil {
		id := randomHex(16)
		c.session = &session{randomHex(32)}
		c.s.sessions[id] = c.session
		c.setCookie(http.Cookie{Name: sessionCookie, Value: id, HttpOnly: true})
	}
	return c.session.token
}

// hasToken tells whether the call repeats its session's token.
func (c *call) hasToken() bool {
	c.session = c.s.sessions[c.cookie(sessionCookie)]
	if c.session == nil {
		return false
	}
	return slices.Contains([]string{c.param("authenticity_token"), c.r.Header.Get("X-CSRF-Token")}, c.session.token)
}

// signInAs signs the browser in, in place of whoever was.
func (c *call) signInAs(u *User) {
	token := randomHex(16)
	c.s.logins[token] = u
	c.setCookie(http.Cookie{Name: loginCookie, Value: token, HttpOnly: true})
}

// toLogin sends a stranger to the login page, which will know where they wanted to go.
func (c *call) toLogin(destination string) answer {
	c.setCookie(http.Cookie{Name: destinationCookie, Value: url.QueryEscape(destination)})
	return redirect("/login")
}

// authenticate finds out who calls. A key, if one is sent, overrides the
// cookie, and a bad one is an error even where nobody need be signed in.
func (c *call) authenticate() error {
	c.user = c.cookieUser()
	text := c.r.Header.Get(userkeys.KeyHeader)
	if text == "" {
		return nil
	}
	var err error
	if c.s.Era == Old {
		err = c.useKeyOld(text)
	} else {
		err = c.useKey(text)
	}
	if err != nil {
		return err
	}
	c.user = c.s.ownerOf(c.key)
	c.key.LastUsedAt = c.now
	return c.bindClient(c.r.Header.Get(userkeys.ClientIDHeader))
}

// useKey holds the order of the younger eras: unknown keys cost nothing; then
// the minute and the day are charged; then come scopes and the owner's state.
func (c *call) useKey(text string) error {
	k := c.s.goodKey(text, c.now)
	if k == nil {
		return errInvalidKey
	}
	minute, day := c.s.keyLimits(string(k.hash))
	if f := c.s.limits.chargeAll(c.now, minute, day); f != nil {
		return f
	}
	if !c.permitted(k) || !c.s.ownerMay(k) {
		return errInvalidKey
	}
	c.key = k
	return nil
}

// useKeyOld holds the order of the oldest era: limits are looked at first, the
// day's before the minute's, and charged last, so that refusals are free.
func (c *call) useKeyOld(text string) error {
	minute, day := c.s.keyLimits(text)
	for _, l := range []limit{day, minute} {
		if wait := c.s.limits.wait(l, c.now); wait > 0 {
			return tooMany(l, wait)
		}
	}
	k := c.s.goodKey(text, c.now)
	if k == nil || !c.permitted(k) || !c.s.ownerMay(k) {
		return errInvalidKey
	}
	c.s.limits.push(minute, c.now)
	c.s.limits.push(day, c.now)
	c.key = k
	return nil
}

func (s *Site) ownerOf(k *Key) *User { return s.user(k.User) }

// ownerMay tells whether the key's owner may do anything at all.
func (s *Site) ownerMay(k *Key) bool {
	u := s.ownerOf(k)
	return u != nil && !u.Suspended && !u.Inactive
}

// permitted tells whether the key's scopes permit the route. The scopes on the
// key count, whatever the site allows by now.
func (c *call) permitted(k *Key) bool {
	return c.route.action == revokeAction || slices.ContainsFunc(k.Scopes, c.scopePermits) // any key may revoke itself
}

func (c *call) scopePermits(scope string) bool {
	method, action := c.r.Method, c.route.action
	switch scope {
	case "read":
		return method == http.MethodGet
	case "write":
		return slices.Contains([]string{"GET", "POST", "PATCH", "PUT", "DELETE"}, method)
	case "message_bus":
		return method == http.MethodPost && action == busAction
	case "notifications":
		return slices.Contains([]string{
			"POST " + busAction, "GET notifications/index", "GET notifications/totals", "PUT notifications/mark_read",
		}, method+" "+action)
	case "session_info":
		lists := c.s.Era == Old && strings.HasPrefix(action, "list/")
		return method == http.MethodGet && (action == "session/current" || lists)
	}
	return false
}
