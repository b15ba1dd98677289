package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"userkeys"
)

// A Credential is a key to one site. Its JSON leaves the key out: an app that stores keys adds it by
// [userkeys.Key.Reveal].
type Credential struct {
	Site     string          `json:"site"`
	Key      userkeys.Key    `json:"-"`
	ClientID string          `json:"client_id"`
	Scopes   userkeys.Scopes `json:"scopes"`
	// empty if the site did not say; see [Credential.CurrentUsername]
	Username  string    `json:"username,omitempty"`
	Push      bool      `json:"push"` // notifications will be delivered to the request's push URL
	API       int       `json:"api"`  // the version of the protocol that the site speaks
	ExpiresAt time.Time `json:"expires_at,omitzero"`

	// KeyPair and Padding are what the site encrypted the key with. Only [Credential.Renew] and
	// [Credential.PushSecret] need them: other apps may forget the key pair.
	KeyPair *KeyPair         `json:"-"`
	Padding userkeys.Padding `json:"-"`
}

// Bounds of clients that the app has not configured.
const (
	requestTimeout = 30 * time.Second // a call from start to the end of its body
	usualMaxWait   = time.Minute      // as long as a minute's limit can last
)

// Client returns a client that sends the key with every request to the site, through base. With a nil base it
// waits up to a minute for a rate limit of the site and gives up after 90 seconds in all; with another base it
// waits only if the transport of base is a [Transport] that does. See [Transport] for which requests carry the
// key.
//
// The client follows no redirects unless base has a CheckRedirect that does: an API does not move, a login page in
// place of an answer is no success, and a site must not send an app to addresses in the app's own network.
func (c *Credential) Client(base *http.Client) *http.Client {
	if base == nil {
		return &http.Client{
			Timeout: requestTimeout + usualMaxWait, Transport: &Transport{Credential: c, MaxWait: usualMaxWait},
			CheckRedirect: stay,
		}
	}
	hc := *base
	hc.Transport = &Transport{Credential: c, Base: hc.Transport}
	if hc.CheckRedirect == nil {
		hc.CheckRedirect = stay
	}
	return &hc
}

// stay makes a client return a redirect as the answer.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// URL returns the address of a path on the site. The path begins with a slash and may have a query. Characters
// that no address may have, such as spaces, are percent-encoded.
//
// Errors: [userkeys.InvalidParameters] if path does not begin with a slash or leads out of the site.
func (c *Credential) URL(path string) (string, error) {
	u, err := url.Parse(c.Site + encodeStray(path))
	if err != nil || path == "" || path[0] != '/' || !OnSite(c.Site, u) {
		return "", userkeys.Errorf(userkeys.InvalidParameters, "%q is no path on %s; it begins with a slash", path, c.Site)
	}
	return u.String(), nil
}

// encodeStray percent-encodes the bytes of a path with a query that no part of an address may have (RFC 3986, 2).
// Bytes that are percent-encoded already stay as they are.
func encodeStray(path string) string {
	var out strings.Builder
	for i := range len(path) {
		if c := path[i]; c == ' ' || c >= 0x80 || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

// Get requests a path of the site with GET and decodes its JSON into the value that into points to, like [Do].
// base is as for [Credential.Client].
func (c *Credential) Get(ctx context.Context, base *http.Client, path string, into any) error {
	address, err := c.URL(path)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	return Do(c.Client(base), req, into)
}

// get is [Credential.Get] for the small answers that this package itself asks for.
func (c *Credential) get(ctx context.Context, base *http.Client, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Site+path, nil)
	if err != nil {
		return err
	}
	return doWithin(maxAnswerBytes, c.Client(base), req, into)
}

// CurrentUsername asks the site for the name of the key's user. It needs one of the scopes session_info, read,
// write, and counts as a call.
func (c *Credential) CurrentUsername(ctx context.Context, base *http.Client) (string, error) {
	var body struct {
		CurrentUser struct {
			Username string `json:"username"`
		} `json:"current_user"`
	}
	err := c.get(ctx, base, sessionPath, &body)
	return body.CurrentUser.Username, err
}

// Revoke ends the key, which needs no scope. It returns nil only if the site itself confirms the end in JSON; a web
// page, such as that of a proxy, is an error. If the key had ended before, the error is an [*APIError] whose Worthless
// is true.
func (c *Credential) Revoke(ctx context.Context, base *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Site+revokePath, nil)
	if err != nil {
		return err
	}
	var body struct {
		Success string `json:"success"`
	}
	if err := Do(c.Client(base), req, &body); err != nil {
		return err
	}
	if body.Success != "OK" {
		return userkeys.Errorf(userkeys.Internal, "the answer does not say that the key is revoked; is something between "+
			"this machine and the site?")
	}
	return nil
}
