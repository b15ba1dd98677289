package client

import (
	"context"
	"errors"
	"net/http"

	"userkeys"
)

// PushSecret fetches what the site signs this key's pushes with: see [VerifyPush]. It needs c's KeyPair, for the
// site seals the secret to it. The secret is the key's as long as it lives; a renewed key may have another one.
//
// It is an addition of userkeys: Discourse answers 404, and does not sign.
func (c *Credential) PushSecret(ctx context.Context, base *http.Client) (userkeys.PushSecret, error) {
	if c.KeyPair == nil {
		return userkeys.PushSecret{}, userkeys.Errorf(userkeys.MissingParameter,
			"the push secret is sealed to the key pair that the key was asked for with, and that is not kept here")
	}
	padding := c.Padding
	if padding == "" {
		padding = userkeys.PaddingOAEP
	}
	var body struct {
		Payload string `json:"payload"`
	}
	if err := c.get(ctx, base, userkeys.PushSecretPath, &body); err != nil {
		return userkeys.PushSecret{}, noPushSecret(err)
	}
	secret, err := userkeys.OpenPushSecret(c.KeyPair.private, padding, body.Payload)
	if padding == userkeys.PaddingOAEP && reason(err) == userkeys.ReasonNotOurs {
		if older, err := userkeys.OpenPushSecret(c.KeyPair.private, userkeys.PaddingPKCS1, body.Payload); err == nil {
			return older, nil
		}
	}
	return secret, err
}

// noPushSecret says what a refusal means here. What the site says of a dead key is clear already.
func noPushSecret(err error) error {
	var api *APIError
	if !errors.As(err, &api) || api.KeyIsDead() {
		return err
	}
	switch {
	case api.Status == http.StatusNotFound:
		return &userkeys.Error{
			Code: userkeys.NotFound, Reason: "no push secret", Err: api,
			Public: "the site gives no push secrets: it is a Discourse, which does not sign its pushes, or an older userkeys",
		}
	case api.Status == http.StatusForbidden:
		return &userkeys.Error{
			Code: userkeys.InvalidAccess, Reason: "no push secret", Err: api,
			Public: "the site gives this key no push secret: it was asked for without a push URL that the site allows, or " +
				"without the scope push or notifications",
		}
	}
	return err
}
