package userkeys

import (
	"net/url"
	"time"
)

// STUB: being written.

// AuthorizationRequest is what an app asks, as it asked: parsed, not yet checked against a site.
type AuthorizationRequest struct {
	ApplicationName  string `json:"application_name,omitempty"`
	ClientID         string `json:"client_id"`
	Nonce            string `json:"nonce"`
	Scopes           Scopes `json:"scopes"`
	PublicKey        string `json:"public_key,omitempty"`
	AuthRedirect     string `json:"auth_redirect,omitempty"`
	HasAuthRedirect  bool   `json:"has_auth_redirect,omitempty"` // the parameter was there, perhaps empty
	PushURL          string `json:"push_url,omitempty"`
	Padding          string `json:"padding,omitempty"`
	ExpiresInSeconds string `json:"expires_in_seconds,omitempty"`
}

func ParseParameters(query string) (url.Values, error)                     { panic("stub") }
func ParseAuthorizationRequest(p url.Values) (AuthorizationRequest, error) { panic("stub") }

// CheckedRequest is a request that a site would grant, with all that a page shows.
type CheckedRequest struct {
	AuthorizationRequest           // as asked
	Name                 string    // application name to show and store
	Key                  PublicKey // the effective key
	Pad                  Padding
	Redirect             *Redirect     // nil: no redirect asked for
	Lifetime             time.Duration // 0: no end of its own
	Push                 bool          // the payload's push flag
}

func (r AuthorizationRequest) Check(s Settings, c *Catalog, client Client) (CheckedRequest, error) {
	panic("stub")
}

// CheckGrantor tells whether u may give keys on this site (wire 5.2).
func (s Settings) CheckGrantor(u User) error { panic("stub") }
