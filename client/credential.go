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

// A Credential is a key and where it may go. JSON of it leaves the key out:
// what stores keys does so on purpose, by [userkeys.Key.Reveal].
type Credential struct {
	Site      string          `json:"site"`
	Key       userkeys.Key    `json:"-"`
	ClientID  string          `json:"client_id"`
	Scopes    userkeys.Scopes `json:"scopes"`
	Username  string          `json:"username,omitempty"` // as far as the site told; see [Credential.CurrentUsername]
	Push      bool            `json:"push"`               // notifications will be delivered to the request's push URL
	API       int             `json:"api"`                // the site's version of the protocol
	ExpiresAt time.Time       `json:"expires_at,omitzero"`

	// KeyPair and Padding are those that the site sealed the key with. Only
	// [Credential.Renew] needs them: an app that never renews may forget the key pair.
	KeyPair *KeyPair         `json:"-"`
	Padding userkeys.Padding `json:"-"`
}

// Bounds of clients that nobody configured.
const (
	requestTimeout = 30 * time.Second // a call from start to the end of its body
	usualMaxWait   = time.Minute      // as long as a minute's limit can last
)

// Client is base with the key in place. nil means a client that waits up to a minute for a limit
// of the site, and gives up after 90 seconds in all; a base of one's own waits only
// where it has a [Transport] that says so. See there for where the key goes and where not.
//
// It follows no redirect, unless base has a CheckRedirect that does: an API does not move, a login page in place of
// an answer is no success, and a site must not send an app to addresses of the app's own network.
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

// stay takes a redirect for the answer.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// URL is the address of a path on the site. The path begins with a slash and
// may have a query. Characters that no address may have, such as spaces, are percent-encoded.
func (c *Credential) URL(path string) (string, error) {
	u, err := url.Parse(c.Site + encodeStray(path))
	if err != nil || path == "" || path[0] != '/' || !OnSite(c.Site, u) {
		return "", userkeys.Errorf(userkeys.InvalidParameters, "%q is no path on %s; it begins with a slash", path, c.Site)
	}
	return u.String(), nil
}

// encodeStray percent-encodes the bytes of a path with a query that no part of an address may have (RFC 3986,
// 2); what is percent-encoded already stays.
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

// Get reads the JSON at a path of the site into the value that into points to, as [Do] does. base
// is as for [Credential.Client].
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

// get is [Credential.Get] for what this package asks for itself, which is small.
func (c *Credential) get(ctx context.Context, base *http.Client, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Site+path, nil)
	if err != nil {
		return err
	}
	return doWithin(maxAnswerBytes, c.Client(base), req, into)
}

// CurrentUsername asks the site whose key this is. It needs one of the scopes
// session_info, read, write, and counts as a call.
func (c *Credential) CurrentUsername(ctx context.Context, base *http.Client) (string, error) {
	var body struct {
		CurrentUser struct {
			Username string `json:"username"`
		} `json:"current_user"`
	}
	err := c.get(ctx, base, sessionPath, &body)
	return body.CurrentUser.Username, err
}

// Revoke makes the key worthless, by the key itself; every key may. Only the site's own word
// counts: a page of something between is an error. A key that is worthless already gives an
// [APIError] whose Worthless is true.
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
