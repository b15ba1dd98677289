package gateway

import (
	"context"
	"net/http"
	"strings"

	"userkeys"
)

// Guard lets requests without a key pass as strangers and checks every other:
// what next gets has been found good, and [userkeys.FromContext] tells who and what.
//
// A key is read from the header User-Api-Key alone: never from the query, a
// cookie, a Basic password or a bearer token, so that no browser sends one by itself.
// The decision is about the request line as it was received, whatever a
// router or http.StripPrefix made of it before: spellings that two programs
// could read in two ways are refused. A request that a guard further out has
// let in is not charged again.
func Guard(c Checker) func(http.Handler) http.Handler {
	return guard(c, http.Handler.ServeHTTP)
}

// Require is [Guard] for handlers that are nothing for strangers: without a key it answers 403.
func Require(c Checker) func(http.Handler) http.Handler {
	return guard(c, func(_ http.Handler, w http.ResponseWriter, _ *http.Request) { refuseNoKey.write(w) })
}

func guard(c Checker, stranger func(http.Handler, http.ResponseWriter, *http.Request)) func(http.Handler) http.Handler {
	if c == nil {
		panic("gateway: a guard needs a Checker")
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			keys, has := r.Header[userkeys.KeyHeader]
			if !has {
				stranger(next, w, r)
				return
			}
			if _, checked := userkeys.FromContext(r.Context()); checked {
				next.ServeHTTP(w, r)
				return
			}
			if a, ok := admit(c, w, r, keys, ownRequest); ok {
				next.ServeHTTP(w, r.WithContext(userkeys.NewContext(r.Context(), a)))
			}
		})
	}
}

// addressee is whom a request with a key is for.
type addressee int

const (
	ownRequest      addressee = iota // a handler in this program
	upstreamRequest                  // another server, where no key can revoke itself
)

// admit decides about a request with a key and answers it if it must not go on.
func admit(c Checker, w http.ResponseWriter, r *http.Request, keys []string, to addressee) (userkeys.Access, bool) {
	if f := wellFormed(r, keys); f != nil {
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
		WriteError(w, err)
		return userkeys.Access{}, false
	}
	a, err := c.Check(r.Context(), userkeys.Call{
		Key: keys[0], Method: r.Method, Path: path,
		ManagesItself: to == ownRequest && r.Method == http.MethodPost && managesItself(path),
	})
	if err != nil {
		WriteError(w, err)
		return userkeys.Access{}, false
	}
	if id := r.Header[userkeys.ClientIDHeader]; len(id) == 1 && id[0] != "" && id[0] != a.ClientID {
		if re, ok := c.(Rebinder); ok {
			a = re.Rebind(r.Context(), a, id[0])
		}
	}
	return a, true
}

// A Rebinder moves a key to the client that its app names in the header
// User-Api-Client-Id (wire 7.4): an app that learns another id of its device
// goes on with the key that it has. A Checker that is none leaves keys where they are.
type Rebinder interface {
	// Rebind gives a as it is afterwards: moved, or, where that may not be, as it was.
	Rebind(ctx context.Context, a userkeys.Access, clientID string) userkeys.Access
}

func managesItself(path string) bool {
	switch strings.TrimSuffix(path, ".json") {
	case "/user-api-key/revoke", "/user-api-key/renew":
		return true
	}
	return false
}

// wellFormed refuses what is wrong with a key-bearing request before anybody
// is asked about the key.
func wellFormed(r *http.Request, keys []string) *refusal {
	if len(keys) != 1 {
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
