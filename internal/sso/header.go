package sso

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"userkeys"
	"userkeys/gateway"
)

// HeaderConfig is a proxy before the site that signs people in and says who they are in headers of each request.
type HeaderConfig struct {
	User   string // the header that says who it is
	Name   string // full name; empty: no header says
	Email  string // e-mail address; empty: no header says
	Groups string // groups, separated by commas; empty: no header says
	// From are the networks of the proxies that are believed, and Unix says that whoever connects by a Unix socket is.
	From []netip.Prefix
	Unix bool
}

// Names are the headers that h names.
func (h HeaderConfig) Names() []string {
	return slices.DeleteFunc([]string{h.User, h.Name, h.Email, h.Groups}, func(name string) bool { return name == "" })
}

// headerProvider reads whom a trusted proxy names.
type headerProvider struct {
	Login
	callback string
	proxies  *gateway.ClientIPs
	log      *slog.Logger
}

func newHeader(l Login, callback string, log *slog.Logger) (headerProvider, error) {
	proxies, err := gateway.NewClientIPs(gateway.ClientIPConfig{TrustedProxies: l.Header.From, TrustUnix: l.Header.Unix})
	return headerProvider{l, callback, proxies, log}, err
}

func (h headerProvider) address() *url.URL { return nil }

func (h headerProvider) begin(_ context.Context, s pendingSignIn) (string, error) {
	return h.callback + "?state=" + s.State, nil
}

func (h headerProvider) answers(r *http.Request, s pendingSignIn) bool {
	return same(s.State, r.URL.Query().Get("state"))
}

func (h headerProvider) finish(r *http.Request, _ pendingSignIn) (Person, error) { return h.read(r) }

// read returns whom the proxy names in r. Whoever else sends the header is not believed, and the log says so.
func (h headerProvider) read(r *http.Request) (Person, error) {
	if _, trusted := h.proxies.Peer(r); !trusted {
		if _, sent := r.Header[http.CanonicalHeaderKey(h.Header.User)]; sent {
			h.log.WarnContext(r.Context(), "a header that signs people in came from an address that is not trusted",
				"login", h.Name, "header", h.Header.User, "peer", r.RemoteAddr)
		}
		return Person{}, refused("the request does not come from the proxy")
	}
	for name := range r.Header {
		if gateway.SameHeader(name, userkeys.KeyHeader) || gateway.SameHeader(name, "Api-Key") {
			return Person{}, refused("the request has a key, which proxies let pass without a sign-in")
		}
	}
	user, err := h.one(r, h.Header.User)
	if err == nil && user == "" {
		err = &userkeys.Error{
			Code: userkeys.InvalidCredentials, Err: errors.New("the proxy names nobody in " + h.Header.User),
			Public: "the proxy before this site does not say who you are; tell an administrator if you are signed in there",
		}
	}
	if err != nil {
		return Person{}, err
	}
	o := Person{Subject: user, Username: user}
	if o.Name, err = h.one(r, h.Header.Name); err != nil {
		return o, err
	}
	if o.Email, err = h.one(r, h.Header.Email); err != nil {
		return o, err
	}
	groups, err := h.one(r, h.Header.Groups)
	o.Groups = listed(groups)
	return o, err
}

// one returns the one value of a header; "" if the name is. A header that comes twice, or in another spelling that
// some program reads as the same, did not come from the proxy alone.
func (h headerProvider) one(r *http.Request, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	canonical := http.CanonicalHeaderKey(name)
	for other := range r.Header {
		if other != canonical && gateway.SameHeader(other, canonical) {
			return "", refused("the header " + name + " comes in two spellings")
		}
	}
	values := r.Header[canonical]
	if len(values) > 1 {
		return "", refused("the header " + name + " comes twice")
	}
	if len(values) == 0 {
		return "", nil
	}
	return strings.Trim(values[0], " \t"), nil
}
