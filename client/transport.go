package client

import (
	"net/http"

	"userkeys"
)

// A Transport sends a key with every request to its site. Requests to anybody
// else (another host, port or scheme; outside the site's folder), also those that follow a redirect,
// pass without the key: a site's link to elsewhere must not hand the key to elsewhere.
type Transport struct {
	Credential *Credential
	Base       http.RoundTripper // nil: http.DefaultTransport
}

// RoundTrip sends a copy of r with the headers in place.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	if t.Credential == nil {
		if r.Body != nil {
			_ = r.Body.Close() // the contract of RoundTripper: closed also on errors
		}
		return nil, userkeys.Errorf(userkeys.NotLoggedIn, "there is no key to call with")
	}
	r = r.Clone(r.Context())
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Del(userkeys.KeyHeader)
	r.Header.Del(userkeys.ClientIDHeader)
	if OnSite(t.Credential.Site, r.URL) {
		r.Header.Set(userkeys.KeyHeader, t.Credential.Key.Reveal())
		if t.Credential.ClientID != "" {
			r.Header.Set(userkeys.ClientIDHeader, t.Credential.ClientID)
		}
	}
	return base.RoundTrip(r)
}
