package keycmd

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"userkeys"
	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
	"userkeys/internal/keystore"
)

func newRenewCommand() *cobra.Command {
	var everything bool
	cmd := &cobra.Command{
		Use:   "renew SITE",
		Short: "Put a new key in the place of one that will end, without asking again",
		Long: `Asks the site for a new key in the place of the stored one, with the same
scopes and a new end. Nobody has to approve, because nothing widens; the site bounds for
how long. Keys near their end are renewed by the other commands without being told.
It is an addition of userkeys sites; on Discourse log in again.`,
		Example: `  userkeys renew forum.example
  userkeys renew --all`,
		ValidArgsFunction: appkeys.CompleteSites,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, accounts, err := appkeys.Chosen(cmd, args, everything)
			if err != nil {
				return err
			}
			if !everything {
				return renewOne(cmd, store, accounts[0])
			}
			failed, ending := 0, 0
			for _, a := range accounts {
				if a.ExpiresAt.IsZero() {
					continue
				}
				ending++
				if err := renewOne(cmd, store, a); err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", userkeys.Printable(a.String()), cli.Public(err))
					failed++
				}
			}
			if failed > 0 {
				return cli.Exitf(cli.ExitFailure, "%d of %d keys are not renewed", failed, ending)
			}
			return nil
		},
	}
	cmd.Args = siteOrAll(&everything)
	cmd.Flags().String("account", "", "the account, if there are several on the site")
	cmd.Flags().BoolVar(&everything, "all", false, "every key that will end")
	cli.AddJSONFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("account", appkeys.CompleteAccounts) // only a flag that is not there fails
	return cmd
}

func renewOne(cmd *cobra.Command, store *keystore.Store, a keystore.Account) error {
	if a.ExpiresAt.IsZero() {
		return cli.Exitf(cli.ExitFailure, "the key of %s has no end of its own; there is nothing to renew",
			userkeys.Printable(a.String()))
	}
	c, err := store.Credential(a)
	if err != nil {
		return appkeys.Error(err)
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
		return appkeys.Error(err)
	}
	tell(cmd, now, "renewed", "The key of %s now ends at "+now.ExpiresAt.Format(time.RFC3339)+".\n")
	return nil
}
