package client

import (
	"context"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"time"

	"userkeys"
)

const renewPath = "/user-api-key/renew.json"

// Renew asks the site for a new key in the place of c's, with the same scopes
// and a new end, and returns it as a new credential: nobody is asked again. It needs c's KeyPair.
// The old key goes on for ten minutes, so keep the new
// one first; if its answer is lost, renew again with the old one.
//
// It is an addition of userkeys: Discourse answers 404. An [APIError] with
// status 409 says that only a new consent helps.
func (c *Credential) Renew(ctx context.Context, base *http.Client) (*Credential, error) {
	if c.KeyPair == nil {
		return nil, userkeys.Errorf(userkeys.MissingParameter, "to renew takes the key pair that the key was asked for with")
	}
	padding := c.Padding
	if padding == "" {
		padding = userkeys.PaddingOAEP
	}
	nonce := RandomID()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Site+renewPath,
		strings.NewReader(url.Values{"nonce": {nonce}}.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var body struct {
		Payload   string    `json:"payload"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if err := Do(c.Client(base), req, &body); err != nil {
		return nil, err
	}
	p, err := openWith(c.KeyPair, padding, body.Payload)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(p.Nonce), []byte(nonce)) != 1 {
		return nil, ErrWrongNonce
	}
	if body.ExpiresAt.IsZero() {
		body.ExpiresAt = p.ExpiresAt
	}
	renewed := *c
	renewed.Key, renewed.ExpiresAt, renewed.Push, renewed.API = p.Key, body.ExpiresAt.UTC(), p.Push, p.API
	return &renewed, nil
}

// RenewalDue tells whether the time has come to renew a key that was given at issued: two
// thirds of its life are over, and it has not ended. A key without an end is never due.
func (c *Credential) RenewalDue(issued, now time.Time) bool {
	if c.KeyPair == nil || c.ExpiresAt.IsZero() || !now.Before(c.ExpiresAt) {
		return false
	}
	return now.Sub(issued) >= c.ExpiresAt.Sub(issued)*2/3
}
