package keycmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
	"userkeys/internal/keystore"
)

func newLogoutCommand() *cobra.Command {
	choice := &appkeys.Choice{}
	var force bool
	cmd := &cobra.Command{
		Use:   "logout SITE",
		Short: "Revoke the key to a site, and delete it here",
		Long: `Revokes the key on the site, so that it no longer works, and then deletes it here.
If the site cannot be reached, the key is kept. With --force it is deleted anyway;
it then works until it is revoked on the apps page of the site.`,
		Example: `  userkeys logout forum.example
  userkeys logout forum.example --account alice
  userkeys logout --all`,
		ValidArgsFunction: appkeys.CompleteSites,
		RunE: func(cmd *cobra.Command, args []string) error {
			choice.Site = strings.Join(args, "")
			store, accounts, err := choice.Accounts(cmd)
			if err != nil {
				return err
			}
			if len(accounts) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "there is no stored key")
			}
			if len(accounts) == 1 {
				return logout(cmd, store, accounts[0], force)
			}
			return each(cmd, accounts, "revoked", func(a keystore.Account) error {
				return logout(cmd, store, a, force)
			})
		},
	}
	cmd.Args = siteOrAll(choice)
	choice.AddAccountFlag(cmd)
	cmd.Flags().BoolVar(&choice.All, "all", false, "log out of every site and account")
	cmd.Flags().BoolVar(&force, "force", false, "delete the key here even if it could not be revoked")
	cli.AddJSONFlag(cmd)
	return cmd
}

// siteOrAll requires either a site or --all.
func siteOrAll(choice *appkeys.Choice) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if choice.All == (len(args) == 1) || len(args) > 1 {
			return cli.Misunderstood(cmd, fmt.Errorf("usage: %s (or --all)", cmd.UseLine()))
		}
		return nil
	}
}

// each calls do for every account. The error says for how many of them do failed.
func each(cmd *cobra.Command, accounts keystore.Accounts, done string, do func(keystore.Account) error) error {
	failed := 0
	for _, a := range accounts {
		if err := do(a); err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", userkeys.Printable(a.String()), cli.Public(err))
			failed++
		}
	}
	if failed > 0 {
		return cli.Exitf(cli.ExitFailure, "%d of %d keys are not %s", failed, len(accounts), done)
	}
	return nil
}

func logout(cmd *cobra.Command, store *keystore.Store, a keystore.Account, force bool) error {
	c, err := store.Credential(a)
	if err == nil {
		err = c.Revoke(cmd.Context(), nil)
	}
	var api *client.APIError
	switch {
	case err == nil:
		tell(cmd, a, "revoked", "The key of %s is revoked and forgotten.\n")
	case errors.As(err, &api) && api.Worthless():
		tell(cmd, a, "worthless", "The key of %s was worthless already; it is forgotten.\n")
	case force:
		fmt.Fprintf(cmd.ErrOrStderr(),
			"warning: the key of %s is forgotten but not revoked (%s); revoke it on your apps page there\n",
			userkeys.Printable(a.String()), cli.Public(err))
	default:
		return notRevoked(c, err)
	}
	return appkeys.ExitError(store.Forget(a.ID))
}

// tell prints what was done with the key of an account: a sentence, or with --json a
// line of JSON.
func tell(cmd *cobra.Command, a keystore.Account, result, sentence string) {
	if cli.JSON(cmd) {
		_ = json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
			Site      string    `json:"site"`
			Account   string    `json:"account"`
			Result    string    `json:"result"`
			ExpiresAt time.Time `json:"expires_at,omitzero"`
		}{a.Site, a.Name, result, a.ExpiresAt}) // a reader that left needs none
		return
	}
	fmt.Fprintf(cmd.OutOrStdout(), sentence, userkeys.Printable(a.String()))
}

func notRevoked(c *client.Credential, err error) error {
	if c == nil {
		return appkeys.ExitError(err)
	}
	said := appkeys.SiteError(c, err)
	var coded *cli.Error
	if errors.As(said, &coded) {
		return cli.Exitf(coded.Code, "%s (the key is kept; --force forgets it unrevoked)", coded.Text)
	}
	return said
}
