package client

import (
	"context"
	"errors"
	"net/http"

	"userkeys"
)

// PushSecret asks the site for the secret that it signs the pushes of this key with; see [VerifyPush]. It needs
// c's KeyPair, to which the site encrypts the secret. The secret does not change while the key lives; a renewed
// key may have another one. A Discourse does not sign pushes.
//
// Errors: [userkeys.NotFound] if the site does not sign pushes, [userkeys.InvalidAccess] if the key gets none,
// [userkeys.MissingParameter] without a KeyPair.
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

// noPushSecret says what a refusal of the secret means; the error of a key that has ended stays as it is.
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
