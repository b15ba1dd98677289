package keycmd

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"userkeys"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
)

func newKeyCommand() *cobra.Command {
	var header, pushSecret bool
	cmd := &cobra.Command{
		Use:   "key SITE",
		Short: "Print the key to a site, for another program",
		Long: `Prints the stored key, for a program that cannot ask for one itself. Hand it on by a
pipe or a variable, not by an argument: other users of the machine can see those.
--push-secret prints what the site signs this key's pushes with, in place of the key.`,
		Example: `  USERKEYS_KEY=$(userkeys key forum.example) ./backup
  userkeys key forum.example --push-secret >secret.txt
  userkeys key forum.example --header | curl -H @- https://forum.example/session/current.json`,
		ValidArgsFunction: appkeys.CompleteSites,
		RunE: func(cmd *cobra.Command, args []string) error {
			if pushSecret {
				return printPushSecret(cmd, args[0], header)
			}
			store, accounts, err := appkeys.Chosen(cmd, args, false)
			if err != nil {
				return err
			}
			c, err := appkeys.Fresh(cmd.Context(), store, accounts[0], cmd.ErrOrStderr())
			if err != nil {
				return appkeys.Error(err)
			}
			asJSON, err := cmd.Flags().GetBool("json")
			switch {
			case err != nil:
				return err
			case asJSON:
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{
					"site": c.Site, "account": c.Username,
					"client_id": c.ClientID, "key": c.Key.Reveal(),
				})
			case header:
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", userkeys.KeyHeader, c.Key.Reveal())
			default:
				fmt.Fprintln(cmd.OutOrStdout(), c.Key.Reveal())
			}
			return nil
		},
	}
	cmd.Args = cobra.ExactArgs(1)
	cmd.Flags().String("account", "", "the account, if there are several on the site")
	cmd.Flags().BoolVar(&header, "header", false, "print it as a header line")
	cmd.Flags().BoolVar(&pushSecret, "push-secret", false, "print what the site signs this key's pushes with")
	cli.AddJSONFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("account", appkeys.CompleteAccounts) // only a flag that is not there fails
	return cmd
}

func printPushSecret(cmd *cobra.Command, site string, header bool) error {
	if header {
		return cli.Exitf(cli.ExitUsage, "a push secret is sent in no header; choose --header or --push-secret")
	}
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	s, err := appkeys.AskPushSecret(cmd, site)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{
			"site": s.Site, "client_id": s.ClientID,
			"push_secret": s.Secret.Reveal(),
		})
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), s.Secret.Reveal())
	return err
}
