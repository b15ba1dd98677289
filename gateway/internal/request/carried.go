package request

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"

	"userkeys"
	"userkeys/site"
)

// AuthorizationHeader is where the carriers of a site have keys; see [site.Carrier].
const AuthorizationHeader = "Authorization"

// maxBasic is the longest Basic credentials in which a key is looked for.
const maxBasic = 8 << 10

// Carried is how a key stands in Authorization.
type Carried struct {
	Kind    site.CarrierKind
	User    string // the user name beside it
	odd     bool   // not every program reads it
	asUser  bool   // it is where the user name should be
	several bool   // there is more than one Authorization
	key     [1]string
}

// readAuthorization finds the key in the header Authorization, where the carriers of e say that one may stand. What
// does not begin as a key of this site is the website's own and stays as it is.
func (p *Presented) readAuthorization(lines []string, method string, e *site.Edge) {
	for _, line := range lines {
		c := credentialsOf(line)
		key, asUser := c.secret, false
		if !strings.HasPrefix(key, e.CarriedPrefix) {
			if !strings.HasPrefix(c.user, e.CarriedPrefix) || !isKey(c.user) {
				continue
			}
			key, asUser = c.user, true
		}
		if !p.mayCarry(c.kind, key, method, e) {
			p.InAuthorization = p.InAuthorization || isKey(key)
			continue
		}
		p.Given, p.InAuthorization = true, true
		p.Carried = &Carried{
			Kind: c.kind, User: c.user, odd: c.odd, asUser: asUser, several: len(lines) > 1, key: [1]string{key},
		}
		if len(p.Values) == 0 {
			p.Values = p.Carried.key[:]
		} else {
			p.Values = append(slices.Clip(p.Values), key)
		}
	}
}

// mayCarry reports whether what begins as a key counts as one that came in Authorization.
func (p *Presented) mayCarry(kind site.CarrierKind, key, method string, e *site.Edge) bool {
	path, err := userkeys.CanonicalPath(p.Target.Path)
	switch {
	case err != nil: // to somebody it is on the route of a carrier; such a path is refused later
		return true
	case !p.Uses(method) && isKey(key): // no route can name a method that no key may use; it is refused later
		return true
	}
	return e.Carries(kind, method, path)
}

// credentials is the value of Authorization.
type credentials struct {
	kind         site.CarrierKind
	user, secret string // the user name, and the token or password
	odd          bool   // not every program reads them
}

// credentialsOf reads the value of Authorization. It reads what any program might take for a key, so that none is
// passed on: with tabs, in quotes, and in base64 with other letters, without padding, or with what is none in between.
func credentialsOf(line string) credentials {
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return credentials{}
	}
	scheme, value := line[:i], strings.Trim(line[i:], " \t")
	odd := line[i] == '\t'
	switch {
	case strings.EqualFold(scheme, "bearer"):
		token := strings.Trim(value, `"`)
		return credentials{kind: site.BearerCarrier, secret: token, odd: odd || token != value}
	case strings.EqualFold(scheme, "basic") && len(value) <= maxBasic:
		text, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			odd = true
			if text, err = base64.RawStdEncoding.DecodeString(strings.Map(base64Letter, value)); err != nil {
				return credentials{}
			}
		}
		user, secret, _ := strings.Cut(string(text), ":")
		return credentials{site.BasicCarrier, user, secret, odd}
	}
	return credentials{}
}

// base64Letter returns the letter of the usual alphabet for a letter of either, and -1 for what is none.
func base64Letter(r rune) rune {
	switch {
	case r == '-':
		return '+'
	case r == '_':
		return '/'
	case r == '+', r == '/', '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
		return r
	}
	return -1
}

func isKey(text string) bool {
	_, err := userkeys.ParseKey(text)
	return err == nil
}

// NamesOwner reports whether the user name beside the key is that of its owner, here or where they sign in. It may be
// left out.
func (c *Carried) NamesOwner(a userkeys.Access) bool {
	return c.User == "" || strings.EqualFold(c.User, a.Username) || c.User == a.ExternalID
}

// refusal refuses what is wrong with a key in Authorization before anybody is asked about it; nil: nothing is.
func (c *Carried) refusal(r *http.Request) *Refusal {
	switch {
	case c.several:
		return refuseTwoCarriers
	case fromElsewhere(r):
		return refuseElsewhere
	case c.asUser:
		return refuseKeyAsUser
	case c.odd:
		return refuseOdd
	}
	return nil
}

// fromElsewhere reports whether a browser says that a page of another origin made the request. Browsers send the
// passwords that they remember along with such requests by themselves. To a site without TLS they say it in Origin
// only, and not of requests that change nothing.
func fromElsewhere(r *http.Request) bool {
	says := r.Header["Sec-Fetch-Site"]
	for _, from := range says {
		if from != "same-origin" && from != "none" {
			return true
		}
	}
	if len(says) > 0 {
		return false
	}
	for _, origin := range r.Header["Origin"] {
		_, host, _ := strings.Cut(origin, "://")
		here := func(name string) bool { return strings.EqualFold(name, host) }
		// No page makes its browser send X-Forwarded-Host to another origin unasked.
		if !here(r.Host) && !slices.ContainsFunc(r.Header["X-Forwarded-Host"], here) {
			return true
		}
	}
	return false
}

// Challenge returns the refusal of a key that is not good in the words of its carrier, after which programs ask for
// another password or token.
func (c *Carried) Challenge() *Refusal {
	if c.Kind == site.BasicCarrier {
		return refuseBasic
	}
	return refuseBearer
}

// AskForPassword returns the refusal of a request without a key where a key may be the password; nil elsewhere. With
// always false, it is nil also where the website's own answer is to be had.
func (p Presented) AskForPassword(method string, e *site.Edge, always bool) *Refusal {
	if len(e.Carriers) == 0 {
		return nil
	}
	path, err := userkeys.CanonicalPath(p.Target.Path)
	if err == nil && (e.Asks(method, path) || always && e.Carries(site.BasicCarrier, method, path)) {
		return refuseNoPassword
	}
	return nil
}

// CarriedIn is the header that the key stands in beside or instead of User-Api-Key; empty: none.
func (p Presented) CarriedIn() string {
	if p.Carried == nil {
		return ""
	}
	return AuthorizationHeader
}

// WithoutAuthorization returns a copy of a request's headers without Authorization.
func WithoutAuthorization(h http.Header) http.Header {
	h = maps.Clone(h)
	delete(h, AuthorizationHeader)
	return h
}
