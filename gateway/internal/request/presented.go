package request

import (
	"net/http"
	"net/url"
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
}

// PresentedBy finds the key of a request: in the header, else in the query if
// its route is one of those that e lists. Elsewhere the parameter says nothing.
func PresentedBy(r *http.Request, e *site.Edge) Presented {
	t := TargetOf(r)
	if keys, ok := r.Header[userkeys.KeyHeader]; ok {
		return Presented{Target: t, Values: keys, Given: true}
	}
	if len(e.KeyRoutes) == 0 || !strings.Contains(t.Query, parameterName+"=") {
		return Presented{Target: t}
	}
	path, err := userkeys.CanonicalPath(t.Path)
	if err != nil || !e.TakesKeyInQuery(r.Method, path) {
		return Presented{Target: t}
	}
	values := keyParameters(t.Query)
	return Presented{Target: t, Values: values, Given: len(values) > 0, InQuery: true}
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

// Keyless returns a copy of r without the key in its query, for handlers and the logs that they write.
func (k Presented) Keyless(r *http.Request) *http.Request {
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

// WellFormed refuses what is wrong with a request that has a key before anybody is asked about the key. It returns
// nil if nothing is.
func (k Presented) WellFormed(r *http.Request) *Refusal {
	if len(k.Values) != 1 {
		if k.InQuery {
			return refuseTwoParameters
		}
		return refuseTwoKeys // we would read one of them and somebody else the other
	}
	if r.Method != http.MethodOptions && !MayUseMethod(r.Method) {
		return RefuseMethod
	}
	if k.Target.HasQuery && !soundQuery(k.Target.Query) {
		return refuseQuery
	}
	return nil
}
