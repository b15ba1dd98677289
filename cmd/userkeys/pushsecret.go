package main

import (
	"errors"
	"github.com/spf13/cobra"
	"net/http"
	"userkeys"
	"userkeys/client"
)

// siteSecret is what a site signs the pushes of one of its clients with.
type siteSecret struct {
	site, clientID string
	secret         userkeys.PushSecret
}

// storedPushSecret asks a site for the secret of the key that is stored for it.
func storedPushSecret(cmd *cobra.Command, site string) (siteSecret, error) {
	store, accounts, err := chosen(cmd, []string{site}, false)
	if err != nil {
		return siteSecret{}, err
	}
	c, err := freshCredential(cmd.Context(), store, accounts[0], cmd.ErrOrStderr())
	if err != nil {
		return siteSecret{}, deskError(err)
	}
	secret, err := c.PushSecret(cmd.Context(), nil)
	if err != nil {
		return siteSecret{}, pushSecretError(c, err)
	}
	return siteSecret{site: c.Site, clientID: c.ClientID, secret: secret}, nil
}

// pushSecretError says what would help.
func pushSecretError(c *client.Credential, err error) error {
	own, isOwn := err.(*userkeys.Error)
	var api *client.APIError
	refused := errors.As(err, &api)
	switch {
	case isOwn && refused && api.Status == http.StatusForbidden:
		return exitf(exitForbidden, "%s; an administrator adds the push URL to allowed_user_api_push_urls, then log in again: userkeys login %s --scopes %s --push-url URL", own.Public, c.Site, withScope(c.Scopes, "push"))
	case isOwn && refused:
		return exitf(exitRefused, "%s", own.Public)
	case c.KeyPair == nil:
		return exitf(exitFailure, "the key of %s was asked for without a push URL, so what its secret would be sealed to is not kept; log in again: userkeys login %s --scopes %s --push-url URL",
			c.Site, c.Site, withScope(c.Scopes, "push"))
	case refused, errors.Is(err, userkeys.Unavailable):
		return siteError(c, err)
	}
	return deskError(err)
}
