package request

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"userkeys"
	"userkeys/site"
)

// parameterName is the query parameter in which a key may stand on the routes
// that a site lists in user_api_key_parameter_routes (W7.1).
const parameterName = "user_api_key"

// Presented is the key of a request as it came.
type Presented struct {
	Target  Target   // of the request, with a key or without
	Values  []string // one, or the request is refused
	Given   bool
	InQuery bool

	Carried *Carried // how the key stands in Authorization; nil: it does not
	// InAuthorization says that Authorization has a key, also where it is not read: nobody behind us shall see it.
	InAuthorization bool
	more            []string // methods that a key may use beside the usual ones
}

// PresentedBy finds the key of a request: in the header User-Api-Key; in Authorization, if its route is one of the
// carriers of e; and if it is in neither, in the query, if its route is one of those that e lists. On all other
// routes Authorization and the query are not read.
func PresentedBy(r *http.Request, e *site.Edge) Presented {
	p := Presented{Target: TargetOf(r), more: e.Methods}
	p.Values, p.Given = r.Header[userkeys.KeyHeader]
	inHeader := p.Given
	if len(e.Carriers) > 0 {
		if lines, ok := r.Header[AuthorizationHeader]; ok {
			p.readAuthorization(lines, r.Method, e)
		}
	}
	if inHeader || len(e.KeyRoutes) == 0 || !strings.Contains(p.Target.Query, parameterName+"=") {
		return p
	}
	path, err := userkeys.CanonicalPath(p.Target.Path)
	if err != nil || !e.TakesKeyInQuery(r.Method, path) {
		return p
	}
	p.Values = append(p.Values, keyParameters(p.Target.Query)...)
	p.Given, p.InQuery = len(p.Values) > 0, true
	return p
}

// keyParameters are the values of the parameters that name a key. If one is
// spelled as it should be, every other spelling counts too, for an upstream may read that one.
func keyParameters(query string) []string {
	var values []string
	proper := false
	for p := range strings.SplitSeq(query, "&") {
		if !isKeyParameter(p) {
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		proper = proper || name == parameterName
		if v, err := url.QueryUnescape(value); err == nil { // else soundQuery refuses the request
			value = v
		}
		values = append(values, value)
	}
	if !proper {
		return nil
	}
	return values
}

// NamesOurKey reports whether the query names, in whatever spelling, a key of a form that only ours
// have. Such a parameter goes no further, whoever reads it there.
func (t Target) NamesOurKey() bool {
	query := t.Query
	for more := len(query) > len(keyParameter); more; {
		var p string
		if p, query, _, more = cutParameter(query); !isKeyParameter(p) {
			continue
		}
		_, value, _ := strings.Cut(p, "=")
		if v, err := url.QueryUnescape(value); err == nil {
			value = v
		}
		if _, err := userkeys.ParseKey(strings.TrimSpace(value)); err == nil {
			return true
		}
	}
	return false
}

// StaysInQuery refuses a request whose query holds a key, for a caller that cannot take it out of the request before
// the website gets it; nil: there is none.
func (k Presented) StaysInQuery() *Refusal {
	if k.InQuery || k.Target.NamesOurKey() {
		return refuseStays
	}
	return nil
}

// keyless returns a copy of r without the key in its query, for handlers and the logs that they write.
func (k Presented) keyless(r *http.Request) *http.Request {
	r = r.WithContext(r.Context())
	target := k.Target.WithoutKey()
	if r.RequestURI != "" {
		r.RequestURI = target
	}
	u := *r.URL
	_, u.RawQuery, _ = strings.Cut(target, "?")
	r.URL = &u
	return r
}

// Uses reports whether a key may be used with a method at all.
func (k Presented) Uses(method string) bool {
	return MayUseMethod(method) || len(k.more) > 0 && slices.Contains(k.more, method)
}

// Allowed is the Allow header of an answer to a request with a key.
func (k Presented) Allowed() string {
	allowed := AllowedMethods
	for _, m := range k.more {
		if m != http.MethodOptions {
			allowed += ", " + m
		}
	}
	return allowed
}

func (k Presented) refuseMethod() *Refusal {
	if len(k.more) == 0 {
		return RefuseMethod
	}
	f := *RefuseMethod
	f.allow = k.Allowed()
	return &f
}

// WellFormed refuses what is wrong with a request that has a key before anybody is asked about the key. It returns
// nil if nothing is.
func (k Presented) WellFormed(r *http.Request) *Refusal {
	if len(k.Values) != 1 {
		switch { // we would read one of them and somebody else the other
		case k.Carried != nil:
			return refuseTwoCarriers
		case k.InQuery:
			return refuseTwoParameters
		}
		return refuseTwoKeys
	}
	if k.Carried != nil {
		if f := k.Carried.refusal(r); f != nil {
			return f
		}
	}
	if r.Method != http.MethodOptions && !k.Uses(r.Method) {
		return k.refuseMethod()
	}
	if k.Target.HasQuery && !soundQuery(k.Target.Query) {
		return refuseQuery
	}
	return nil
}

// Admitted is the request that a handler gets: with who calls in its context, and
// without the key in its address, which handlers log and pass on, or in Authorization, which they may read otherwise.
func (k Presented) Admitted(r *http.Request, a userkeys.Access) *http.Request {
	if k.InQuery {
		r = k.keyless(r)
	}
	r = r.WithContext(userkeys.NewContext(r.Context(), a))
	if k.InAuthorization {
		r.Header = WithoutAuthorization(r.Header)
	}
	return r
}
