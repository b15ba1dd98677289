package client

import (
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"strconv"
	"time"

	"userkeys"
)

// A Request is what an app asks a user of a site for. Apps are not registered: the user is shown the name and the
// scopes.
type Request struct {
	Site            string          // such as https://forum.example, with its folder if it has one
	ApplicationName string          // the name that the user is shown
	ClientID        string          // of this installation; a new key replaces the user's old one with the same id
	Scopes          userkeys.Scopes // as few as the app needs

	// AuthRedirect is the address that the site redirects the browser to with the payload. If it is empty the site
	// shows the payload, for the user to copy.
	AuthRedirect string
	// PushURL is where the site should push the user's notifications to; usually empty.
	PushURL string
	// Padding is how the site encrypts the payload; empty means OAEP. Sites that only have PKCS#1 ignore it, and
	// [Authorization.Open] reads their payloads too.
	Padding userkeys.Padding
	// ExpiresIn asks for a key that expires, after a whole number of seconds; 0 does not ask.
	ExpiresIn time.Duration
	// KeyPair is the key pair to encrypt the payload to; nil means a new one of [DefaultBits].
	KeyPair *KeyPair
}

// An Authorization is a request that the user has not approved yet: the address to send the browser to, and what
// opens the payload. An app that must survive a restart in between stores all fields, KeyPair by
// [KeyPair.PrivatePEM].
type Authorization struct {
	Request Request
	KeyPair *KeyPair
	Nonce   string // the payload repeats it, which proves that it belongs to this request
	URL     string // the address to send the browser to
}

// Begin checks r and generates its key pair, its nonce and the address to send the browser to. It makes no
// request.
//
// Errors: [userkeys.MissingParameter], [userkeys.InvalidParameters], [userkeys.InvalidPadding],
// [userkeys.InvalidExpiry].
func Begin(r Request) (*Authorization, error) {
	site, err := ParseSite(r.Site)
	if err != nil {
		return nil, err
	}
	r.Site = site
	if r.Padding == "" {
		r.Padding = userkeys.PaddingOAEP
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	a := &Authorization{Request: r, KeyPair: r.KeyPair, Nonce: RandomID()}
	if a.KeyPair == nil {
		if a.KeyPair, err = NewKeyPair(0); err != nil {
			return nil, err
		}
	}
	a.URL = site + newPath + "?" + a.parameters().Encode()
	return a, nil
}

// The paths of a site that this package requests.
const (
	newPath         = "/user-api-key/new"
	revokePath      = "/user-api-key/revoke"
	sessionPath     = "/session/current.json"
	descriptionPath = "/.well-known/user-api-key"
)

func (r Request) check() error {
	switch {
	case r.ApplicationName == "":
		return userkeys.Errorf(userkeys.MissingParameter, "the request needs an application name: people decide by it")
	case r.ClientID == "":
		return userkeys.Errorf(userkeys.MissingParameter,
			"the request needs a client id: keep one per installation, RandomID makes one")
	case len(r.Scopes) == 0:
		return userkeys.Errorf(userkeys.MissingParameter, "the request names no scope; \"read\" is a usual one")
	case r.Padding != userkeys.PaddingOAEP && r.Padding != userkeys.PaddingPKCS1 && r.Padding != userkeys.PaddingOAEP256:
		return userkeys.Errorf(userkeys.InvalidPadding,
			"padding is %q, %q or %q", userkeys.PaddingOAEP, userkeys.PaddingOAEP256, userkeys.PaddingPKCS1)
	case r.ExpiresIn < 0 || r.ExpiresIn%time.Second != 0:
		return userkeys.Errorf(userkeys.InvalidExpiry, "a lifetime is a whole number of seconds, not %v", r.ExpiresIn)
	}
	return nil
}

// parameters returns the parameters of the request, without those that are empty and without padding=pkcs1, which
// sites use by default.
func (a *Authorization) parameters() url.Values {
	r := a.Request
	q := url.Values{
		"application_name": {r.ApplicationName},
		"client_id":        {r.ClientID},
		"scopes":           {r.Scopes.String()},
		"public_key":       {a.KeyPair.PublicPEM()},
		"nonce":            {a.Nonce},
	}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("auth_redirect", r.AuthRedirect)
	set("push_url", r.PushURL)
	if r.Padding != userkeys.PaddingPKCS1 {
		q.Set("padding", string(r.Padding))
	}
	if r.ExpiresIn > 0 {
		q.Set("expires_in_seconds", strconv.FormatInt(int64(r.ExpiresIn/time.Second), 10))
	}
	return q
}

// RandomID returns 32 random hex digits, for a nonce, or for a client id that an installation keeps.
func RandomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails
	return hex.EncodeToString(b[:])
}
