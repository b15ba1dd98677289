package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"userkeys"
	"userkeys/site"
)

// ParameterName is the query parameter in which a key may stand on the routes
// that a site lists in user_api_key_parameter_routes (W7.1).
const ParameterName = "user_api_key"

// presented is the key of a request as it came.
type presented struct {
	target  target   // of the request, given or not
	values  []string // one, or the request is refused
	given   bool
	inQuery bool
}

// presentedBy finds the key of a request: in the header, else in the query if
// its route is one of those that e lists. Elsewhere the parameter says nothing.
func presentedBy(r *http.Request, e *site.Edge) presented {
	t := targetOf(r)
	if keys, ok := r.Header[userkeys.KeyHeader]; ok {
		return presented{target: t, values: keys, given: true}
	}
	if len(e.KeyRoutes) == 0 || !strings.Contains(t.query, ParameterName+"=") {
		return presented{target: t}
	}
	path, err := userkeys.CanonicalPath(t.path)
	if err != nil || !e.TakesKeyInQuery(r.Method, path) {
		return presented{target: t}
	}
	values := keyParameters(t.query)
	return presented{target: t, values: values, given: len(values) > 0, inQuery: true}
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
		proper = proper || name == ParameterName
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

// carriesOurKey reports whether a query names, in whatever spelling, a key of a form that only ours
// have. Such a parameter goes no further, whoever reads it there.
func carriesOurKey(query string) bool {
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

// keyless is r without the key in its query, for handlers and the logs that they write.
func keyless(r *http.Request, t target) *http.Request {
	r = r.WithContext(r.Context()) // a copy of ours
	target := t.withoutKeyParameter()
	if r.RequestURI != "" {
		r.RequestURI = target
	}
	u := *r.URL
	_, u.RawQuery, _ = strings.Cut(target, "?")
	r.URL = &u
	return r
}
