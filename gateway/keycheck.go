package gateway

import (
	"errors"
	"net/http"
	"strings"

	"userkeys"
	"userkeys/gateway/internal/apology"
	"userkeys/gateway/internal/request"
	"userkeys/site"
)

// keyCheck has the keys of requests checked, and logs what is refused.
type keyCheck struct {
	checker Checker
	log     *refusalLog // nil: none
}

// addressee is whom a request with a key is for.
type addressee int

const (
	ownRequest      addressee = iota // a handler in this program
	upstreamRequest                  // another server, where no key can revoke itself
)

// presentHeader says true while the app's user looks at it.
const presentHeader = "Discourse-Present"

// admit decides about a request with a key and answers it if it must not go on.
func (c keyCheck) admit(
	w http.ResponseWriter, r *http.Request, k request.Presented, to addressee,
) (userkeys.Access, bool) {
	a, err := c.decide(r, k, to)
	switch err {
	case nil:
		return a, true
	case refuseOptions:
		// Answered here and never passed on: it needs no identity, so it gets none.
		w.Header().Set("Allow", k.Allowed())
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
	default:
		c.refuse(w, r, k, err)
	}
	return userkeys.Access{}, false
}

// decide decides about a request with a key. Guards, the proxy and the answers to web servers have it in common, and
// differ in how they say it.
//
// Errors: refuseOptions for OPTIONS, unless a scope names it, any other *[request.Refusal], and those of
// [Checker.Check].
func (c keyCheck) decide(r *http.Request, k request.Presented, to addressee) (userkeys.Access, error) {
	if f := k.WellFormed(r); f != nil {
		return userkeys.Access{}, f
	}
	if r.Method == http.MethodOptions && !k.Uses(r.Method) {
		return userkeys.Access{}, refuseOptions
	}
	path, err := userkeys.CanonicalPath(k.Target.Path)
	if err != nil {
		return userkeys.Access{}, err
	}
	present := r.Header[presentHeader]
	a, err := c.checker.Check(r.Context(), site.Call{
		Key: k.Values[0], Method: r.Method, Path: path,
		ManagesItself: to == ownRequest && managesItself(r.Method, path),
		Present:       len(present) == 1 && present[0] == "true",
	})
	if err == nil && k.Carried != nil && !k.Carried.NamesOwner(a) {
		err = userkeys.ErrInvalidKey
	}
	if err != nil {
		return userkeys.Access{}, err
	}
	if id := r.Header[userkeys.ClientIDHeader]; len(id) == 1 && id[0] != "" && id[0] != a.ClientID {
		a = c.checker.Rebind(r.Context(), a, id[0])
	}
	return a, nil
}

// managesItself reports whether a request is one that every live key may make whatever its scopes: to revoke and to
// renew itself, and to read what its own pushes are signed with.
func managesItself(method, path string) bool {
	switch strings.TrimSuffix(path, ".json") {
	case "/user-api-key/revoke", "/user-api-key/renew":
		return method == http.MethodPost
	case "/user-api-key/push-secret":
		return method == http.MethodGet
	}
	return false
}

// refuse logs err, which decide returned, and answers with it.
func (c keyCheck) refuse(w http.ResponseWriter, r *http.Request, k request.Presented, err error) {
	if err == userkeys.ErrInvalidKey && k.Carried != nil {
		err = k.Carried.Challenge()
	}
	f, same := errors.AsType[*request.Refusal](err)
	if c.log != nil {
		why := f
		if !same {
			e := userkeys.AsError(err)
			why = &request.Refusal{Status: e.Code.Status(), Reason: request.ReasonOf(e)}
		}
		c.log.refused(w, r, k, why)
	}
	switch {
	case same:
		f.Write(w)
	case !k.Given && WantsPage(r):
		apology.Refused(userkeys.AsError(err).Code.Status()).Write(w, r)
	default:
		WriteError(w, err)
	}
}
