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
const maxBasic = 512

// Carried is how a key stands in Authorization.
type Carried struct {
	Kind    site.CarrierKind
	User    string // the user name beside it
	asUser  bool   // it is where the user name should be
	several bool   // there is more than one Authorization
	key     [1]string
}

// readAuthorization finds the key in the header Authorization, where the carriers of e say that one may stand. What
// does not begin as a key of this site is the website's own and stays as it is.
func (p *Presented) readAuthorization(lines []string, method string, e *site.Edge) {
	for _, line := range lines {
		kind, user, key := credentials(line)
		asUser := false
		if !strings.HasPrefix(key, e.CarriedPrefix) {
			if !strings.HasPrefix(user, e.CarriedPrefix) || !isKey(user) {
				continue
			}
			key, asUser = user, true
		}
		path, err := userkeys.CanonicalPath(p.Target.Path)
		if err == nil && !e.Carries(kind, method, path) && (p.Uses(method) || !isKey(key)) {
			p.InAuthorization = p.InAuthorization || isKey(key)
			continue
		}
		// A path that can be read in two ways is on such a route to somebody, and no route can name a method that no key
		// may use: admitting these ends in their refusal.
		p.Given, p.InAuthorization = true, true
		p.Carried = &Carried{Kind: kind, User: user, asUser: asUser, several: len(lines) > 1, key: [1]string{key}}
		if len(p.Values) == 0 {
			p.Values = p.Carried.key[:]
		} else {
			p.Values = append(slices.Clip(p.Values), key)
		}
	}
}

// credentials reads the value of Authorization: as which kind, the user name, and the token or password.
func credentials(line string) (kind site.CarrierKind, user, secret string) {
	scheme, value, _ := strings.Cut(line, " ")
	value = strings.Trim(value, " \t")
	switch {
	case strings.EqualFold(scheme, "bearer"):
		return site.BearerCarrier, "", value
	case strings.EqualFold(scheme, "basic") && len(value) <= maxBasic:
		text, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return "", "", ""
		}
		user, secret, _ = strings.Cut(string(text), ":")
		return site.BasicCarrier, user, secret
	}
	return "", "", ""
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
	}
	return nil
}

// fromElsewhere reports whether a browser says that a page of another origin made the request. Browsers send the
// passwords that they remember along with such requests by themselves.
func fromElsewhere(r *http.Request) bool {
	for _, from := range r.Header["Sec-Fetch-Site"] {
		if from != "same-origin" && from != "none" {
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
