package site

import (
	"slices"

	"userkeys"
)

// A Carrier says that on some routes a user API key may also stand in the header Authorization, for apps that can send
// a secret there only. The keys need the prefix of the setting user_api_key_prefix, by which they are told from the
// tokens and passwords of the website's own.
type Carrier struct {
	Kind   CarrierKind
	Routes []userkeys.Route
	// Ask has requests without a key on these routes answered with 401 in place of the website behind the proxy, so that
	// programs ask for the password. It is for [BasicCarrier] only; handlers in Go require a key instead.
	Ask bool
}

// CarrierKind is how a key stands in Authorization.
type CarrierKind string

// The kinds of carriers.
const (
	BearerCarrier CarrierKind = "bearer" // as the token
	BasicCarrier  CarrierKind = "basic"  // as the password, with an empty user name or that of the key's owner
)

// CheckCarriers reports what is wrong with the carriers of a configuration that pins the prefix of keys; empty: it does
// not.
//
// Errors: [userkeys.InvalidParameters].
func CheckCarriers(carriers []Carrier, prefix string) error {
	for _, c := range carriers {
		switch {
		case c.Kind != BearerCarrier && c.Kind != BasicCarrier:
			return invalid("the kind of a carrier is bearer or basic, not %q", string(c.Kind))
		case c.Ask && c.Kind != BasicCarrier:
			return invalid("only a carrier of the kind basic can ask for a password")
		case len(c.Routes) == 0:
			return invalid(`a carrier needs routes, such as "GET /api/{rest...}"; on all others no key stands in Authorization`)
		}
	}
	if len(carriers) > 0 && prefix == "" {
		return invalid(`a carrier needs keys that are told from the website's own tokens: set user_api_key_prefix = "uk" ` +
			"(one to three small letters) in the configuration, under [settings]; new keys then begin with uk_")
	}
	return nil
}

// SetCarriers lets keys that begin with prefix and an underscore stand in Authorization. Without a prefix none does.
func (e *Edge) SetCarriers(carriers []Carrier, prefix string) {
	if prefix == "" {
		return
	}
	e.Carriers, e.CarriedPrefix = carriers, prefix+"_"
}

// Asks reports whether a request without a key is to be answered with a question for the password. path is as in
// [Edge.Carries].
func (e *Edge) Asks(method, path string) bool {
	return slices.ContainsFunc(e.Carriers, func(c Carrier) bool { return c.Ask && c.matches(method, path) })
}

// Carries reports whether a key may stand in Authorization as kind says. path is the decoded path of a canonical
// target; see [userkeys.CanonicalPath].
func (e *Edge) Carries(kind CarrierKind, method, path string) bool {
	return slices.ContainsFunc(e.Carriers, func(c Carrier) bool {
		return c.Kind == kind && c.matches(method, path)
	})
}

func (c Carrier) matches(method, path string) bool {
	return slices.ContainsFunc(c.Routes, func(r userkeys.Route) bool { return r.Matches(method, path) })
}
