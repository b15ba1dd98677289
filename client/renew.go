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

// Renew asks the site to replace the key by a new one with the same scopes and a new end, and returns the new
// credential. The user is not asked. Renew needs c's KeyPair. The old key works for ten more minutes: store the
// new one before you use it, and if the answer is lost, renew again with the old one. A Discourse answers 404.
//
// Errors: [userkeys.MissingParameter] without a KeyPair, [userkeys.Conflict] if only a new consent helps, those of
// [Do].
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

// RenewalDue reports whether it is time to renew a key that was granted at issued: two thirds of its life are
// over, and it has not ended. A key without an end is never due.
func (c *Credential) RenewalDue(issued, now time.Time) bool {
	if c.KeyPair == nil || c.ExpiresAt.IsZero() || !now.Before(c.ExpiresAt) {
		return false
	}
	return now.Sub(issued) >= c.ExpiresAt.Sub(issued)*2/3
}
