package appkeys

import (
	"errors"
	"net/http"

	"github.com/spf13/cobra"
	"userkeys"
	"userkeys/client"
	"userkeys/internal/cli"
)

// PushSecret is what a site signs the pushes of one of its clients with.
type PushSecret struct {
	Site, ClientID string
	Secret         userkeys.PushSecret
}

// AskPushSecret asks a site for the secret of the key that is stored for it.
func AskPushSecret(cmd *cobra.Command, site string) (PushSecret, error) {
	store, accounts, err := Chosen(cmd, []string{site}, false)
	if err != nil {
		return PushSecret{}, err
	}
	c, err := Fresh(cmd.Context(), store, accounts[0], cmd.ErrOrStderr())
	if err != nil {
		return PushSecret{}, Error(err)
	}
	secret, err := c.PushSecret(cmd.Context(), nil)
	if err != nil {
		return PushSecret{}, pushSecretError(c, err)
	}
	return PushSecret{Site: c.Site, ClientID: c.ClientID, Secret: secret}, nil
}

// pushSecretError says what would help.
func pushSecretError(c *client.Credential, err error) error {
	own, isOwn := err.(*userkeys.Error)
	var api *client.APIError
	refused := errors.As(err, &api)
	switch {
	case isOwn && refused && api.Status == http.StatusForbidden:
		return cli.Exitf(cli.ExitForbidden, "%s; an administrator adds the push URL to allowed_user_api_push_urls, "+
			"then log in again: userkeys login %s --scopes %s --push-url URL", own.Public, c.Site, WithScope(c.Scopes, "push"))
	case isOwn && refused:
		return cli.Exitf(cli.ExitRefused, "%s", own.Public)
	case c.KeyPair == nil:
		return cli.Exitf(cli.ExitFailure, "the key of %s was asked for without a push URL, so what its secret would "+
			"be sealed to is not kept; log in again: userkeys login %s --scopes %s --push-url URL",
			c.Site, c.Site, WithScope(c.Scopes, "push"))
	case refused, errors.Is(err, userkeys.Unavailable):
		return SiteError(c, err)
	}
	return Error(err)
}
