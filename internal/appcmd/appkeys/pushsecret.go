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

// PushSecret asks the site for the push secret of the key that is chosen.
func (c *Choice) PushSecret(cmd *cobra.Command) (PushSecret, error) {
	key, err := c.Key(cmd)
	if err != nil {
		return PushSecret{}, err
	}
	secret, err := key.PushSecret(cmd.Context(), nil)
	if err != nil {
		return PushSecret{}, pushSecretError(key, err)
	}
	return PushSecret{Site: key.Site, ClientID: key.ClientID, Secret: secret}, nil
}

// pushSecretError says what would help.
func pushSecretError(c *client.Credential, err error) error {
	own, isOwn := err.(*userkeys.Error)
	var api *client.APIError
	refused := errors.As(err, &api)
	switch {
	case isOwn && refused && api.Status == http.StatusForbidden:
		return cli.Exitf(cli.ExitForbidden, "%s; an administrator adds the push URL to allowed_user_api_push_urls, "+
			"then log in again: userkeys login %s --scopes %s --push-url URL",
			own.Public, c.Site, WithScope(c.Scopes, "push"))
	case isOwn && refused:
		return cli.Exitf(cli.ExitRefused, "%s", own.Public)
	case c.KeyPair == nil:
		return cli.Exitf(cli.ExitFailure, "the key of %s was asked for without a push URL, so what its secret would "+
			"be sealed to is not kept; log in again: userkeys login %s --scopes %s --push-url URL",
			c.Site, c.Site, WithScope(c.Scopes, "push"))
	case refused, errors.Is(err, userkeys.Unavailable):
		return SiteError(c, err)
	}
	return ExitError(err)
}
