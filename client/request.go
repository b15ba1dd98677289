package client

import (
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"strconv"
	"time"

	"userkeys"
)

// A Request is what an app asks of a person on a site. Nobody registers the
// app: the name and the scopes are what the person is shown.
type Request struct {
	Site            string          // https://forum.example, with its folder if it lies in one
	ApplicationName string          // what people call the app
	ClientID        string          // names this installation; a new key replaces the person's old one of the same id
	Scopes          userkeys.Scopes // the least that the app can do with

	// AuthRedirect is where the site sends the browser with the answer. Empty:
	// the site shows the answer for the person to paste.
	AuthRedirect string
	// PushURL is where the site should deliver the person's notifications; usually empty.
	PushURL string
	// Padding of the sealed answer; empty means OAEP, the safer one. Sites that
	// know only PKCS#1 ignore it, and [Authorization.Open] reads their answer too.
	Padding userkeys.Padding
	// ExpiresIn asks for a key that ends by itself, in whole seconds; 0 does not ask.
	ExpiresIn time.Duration
	// KeyPair to seal to; nil means a fresh one of [DefaultBits].
	KeyPair *KeyPair
}

// An Authorization is a request under way: where to send the browser, and
// what is needed to open the answer. An app that must survive a restart in
// between keeps all of its fields, KeyPair by [KeyPair.PrivatePEM].
type Authorization struct {
	Request Request
	KeyPair *KeyPair
	Nonce   string // comes back inside the sealed answer, which proves that it answers this request
	URL     string // where to send the browser
}

// Begin checks r and makes what travels: key pair, nonce, address.
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

// The paths of the wire that an app asks.
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

// parameters leaves out what says nothing, also padding=pkcs1, which is what
// sites do unasked.
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

// RandomID is 32 hex digits that nobody can guess: a nonce, or a client id to
// keep for the life of an installation.
func RandomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails
	return hex.EncodeToString(b[:])
}
