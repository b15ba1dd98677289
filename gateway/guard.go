package gateway

import (
	"cmp"
	"net/http"

	"userkeys"
	"userkeys/gateway/internal/headers"
	"userkeys/gateway/internal/request"
	"userkeys/site"
)

// Guard lets requests without a key pass as strangers and checks every other:
// what next gets has been found good, and [userkeys.FromContext] tells who and what.
//
// A key is read from the header User-Api-Key: never from a cookie, so that no browser sends one by itself. It is read
// from the query (user_api_key=...) only on the feeds and calendars that the site's settings list, and from
// Authorization only where a [site.Carrier] says so and never from a page of another origin, as [Checker.Edge] tells.
// What next gets is then without it.
// The decision is about the request line as it was received, whatever a
// router or http.StripPrefix made of it before: spellings that two programs
// could read in two ways are refused. The answer to a request with a key leaves with Vary: User-Api-Key and
// Cache-Control: private, or what is stricter, whatever next says to caches; answers to strangers are left alone. A
// request that a guard further out has let in is not charged again.
func Guard(c Checker) func(http.Handler) http.Handler {
	return guard(c, false)
}

// Require is [Guard] for handlers that are nothing for strangers: without a key it answers 403, or 401 where a key may
// be a Basic password, so that programs ask for it.
func Require(c Checker) func(http.Handler) http.Handler {
	return guard(c, true)
}

func guard(c Checker, required bool) func(http.Handler) http.Handler {
	if c == nil {
		panic("gateway: a guard needs a Checker")
	}
	keys := keyCheck{checker: c}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, checked := userkeys.FromContext(r.Context()); checked {
				next.ServeHTTP(w, r)
				return
			}
			e := c.Edge()
			k := request.PresentedBy(r, e)
			if k.Given {
				if a, ok := keys.admit(w, r, k, ownRequest); ok {
					headers.ServePrivate(next, w, k.Admitted(r, a), k.CarriedIn())
				}
				return
			}
			if required {
				noKey(r, k, e).Write(w)
				return
			}
			if k.InAuthorization {
				r = r.WithContext(r.Context())
				r.Header = request.WithoutAuthorization(r.Header)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// noKey returns the refusal of a request that needs a key and has none.
func noKey(r *http.Request, k request.Presented, e *site.Edge) *request.Refusal {
	return cmp.Or(k.AskForPassword(r.Method, e, true), refuseNoKey)
}
