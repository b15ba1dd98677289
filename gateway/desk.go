package gateway

import (
	"context"
	"net/http"
	"strings"

	"userkeys"
	"userkeys/site"
)

// desk is where a door has its keys checked: who decides, and what is written down of refusals.
type desk struct {
	checker Checker
	edge    func() *site.Edge
	log     *refusalLog // nil: none
}

// noEdge is that of a checker without settings: no CORS, no limits by address, keys in the header only.
var noEdge = &site.Edge{}

func newDesk(c Checker, log *refusalLog) desk {
	d := desk{checker: c, log: log, edge: func() *site.Edge { return noEdge }}
	if e, ok := c.(interface{ Edge() *site.Edge }); ok {
		d.edge = e.Edge
	}
	return d
}

// presentedBy finds the key of a request.
func (d *desk) presentedBy(r *http.Request) presented {
	return presentedBy(r, targetOf(r), d.edge())
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
func (d *desk) admit(w http.ResponseWriter, r *http.Request, k presented, to addressee) (userkeys.Access, bool) {
	if f := wellFormed(r, k); f != nil {
		d.log.refused(w, r, k, f.status, f.reason)
		f.write(w)
		return userkeys.Access{}, false
	}
	if r.Method == http.MethodOptions {
		// Answered here and never passed on: it needs no identity, so it gets none.
		w.Header().Set("Allow", allowed)
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		return userkeys.Access{}, false
	}
	path, err := userkeys.CanonicalPath(targetOf(r).path)
	if err != nil {
		d.refuse(w, r, k, err)
		return userkeys.Access{}, false
	}
	present := r.Header[presentHeader]
	a, err := d.checker.Check(r.Context(), userkeys.Call{
		Key: k.values[0], Method: r.Method, Path: path,
		ManagesItself: to == ownRequest && managesItself(r.Method, path),
		Present:       len(present) == 1 && present[0] == "true",
	})
	if err != nil {
		d.refuse(w, r, k, err)
		return userkeys.Access{}, false
	}
	if id := r.Header[userkeys.ClientIDHeader]; len(id) == 1 && id[0] != "" && id[0] != a.ClientID {
		if re, ok := d.checker.(Rebinder); ok {
			a = re.Rebind(r.Context(), a, id[0])
		}
	}
	return a, true
}

// A Rebinder moves a key to the client that its app names in the header
// User-Api-Client-Id (W7.4): an app that learns another id of its device
// goes on with the key that it has. A Checker that is none leaves keys where they are.
type Rebinder interface {
	// Rebind gives a as it is afterwards: moved, or, where that may not be, as it was.
	Rebind(ctx context.Context, a userkeys.Access, clientID string) userkeys.Access
}

// managesItself tells what every live key may do whatever its scopes: revoke
// and renew itself, and read what its own pushes are signed with.
func managesItself(method, path string) bool {
	switch strings.TrimSuffix(path, ".json") {
	case "/user-api-key/revoke", "/user-api-key/renew":
		return method == http.MethodPost
	case "/user-api-key/push-secret":
		return method == http.MethodGet
	}
	return false
}

// refuse writes down and answers with err.
func (d *desk) refuse(w http.ResponseWriter, r *http.Request, k presented, err error) {
	if d.log != nil {
		e := userkeys.AsError(err)
		d.log.refused(w, r, k, e.Code.Status(), reasonOf(e))
	}
	WriteError(w, err)
}

// wellFormed refuses what is wrong with a key-bearing request before anybody
// is asked about the key.
func wellFormed(r *http.Request, k presented) *refusal {
	if len(k.values) != 1 {
		if k.inQuery {
			return refuseTwoParameters
		}
		return refuseTwoKeys // we would read one of them and somebody else the other
	}
	if r.Method != http.MethodOptions && !mayUseMethod(r.Method) {
		return refuseMethod
	}
	if t := targetOf(r); t.hasQuery && !soundQuery(t.query) {
		return refuseQuery
	}
	return nil
}
