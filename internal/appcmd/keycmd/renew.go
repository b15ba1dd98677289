package keycmd

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
	"userkeys/internal/keystore"
)

func newRenewCommand() *cobra.Command {
	choice := &appkeys.Choice{}
	cmd := &cobra.Command{
		Use:   "renew SITE",
		Short: "Replace a key that will expire, without asking again",
		Long: `Asks the site for a new key with the same scopes and a later expiry, and stores it
in place of the old one. Nobody has to approve it, because the app gains no rights.
The site limits how often that is possible. The other commands renew a key that is
about to expire by themselves. Discourse does not renew keys; log in again there.`,
		Example: `  userkeys renew forum.example
  userkeys renew --all`,
		ValidArgsFunction: appkeys.CompleteSites,
		RunE: func(cmd *cobra.Command, args []string) error {
			choice.Site = strings.Join(args, "")
			store, accounts, err := choice.Accounts(cmd)
			if err != nil {
				return err
			}
			if !choice.All {
				return renewOne(cmd, store, accounts[0])
			}
			ending := slices.DeleteFunc(accounts, func(a keystore.Account) bool { return a.ExpiresAt.IsZero() })
			return each(cmd, ending, "renewed", func(a keystore.Account) error { return renewOne(cmd, store, a) })
		},
	}
	cmd.Args = siteOrAll(choice)
	choice.AddAccountFlag(cmd)
	cmd.Flags().BoolVar(&choice.All, "all", false, "renew every key that will expire")
	cli.AddJSONFlag(cmd)
	return cmd
}

func renewOne(cmd *cobra.Command, store *keystore.Store, a keystore.Account) error {
	if a.ExpiresAt.IsZero() {
		return cli.Exitf(cli.ExitFailure, "the key of %s has no end of its own; there is nothing to renew",
			userkeys.Printable(a.String()))
	}
	c, err := store.Credential(a)
	if err != nil {
		return appkeys.ExitError(err)
	}
	now, _, err := store.Renew(cmd.Context(), a, appkeys.RenewBy(nil))
	var api *client.APIError
	switch {
	case errors.As(err, &api) && api.Status == http.StatusNotFound:
		return cli.Exitf(cli.ExitRefused, "%s does not renew keys; log in again: userkeys login %s", a.Site, a.Site)
	case errors.As(err, &api) && api.Status == http.StatusConflict:
		return cli.Exitf(cli.ExitRefused, "%s does not renew this key any further; log in again: userkeys login %s",
			a.Site, a.Site)
	case errors.As(err, &api), errors.Is(err, userkeys.Unavailable):
		return appkeys.SiteError(c, err)
	case err != nil:
		return appkeys.ExitError(err)
	}
	tell(cmd, now, "renewed", "The key of %s now ends at "+now.ExpiresAt.Format(time.RFC3339)+".\n")
	return nil
}
