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
	choice := &appkeys.Choice{}
	var header, pushSecret bool
	cmd := &cobra.Command{
		Use:   "key SITE",
		Short: "Print the key to a site, for another program",
		Long: `Prints the stored key, for a program that cannot ask for one itself. Pass it on
through a pipe or an environment variable, not as an argument, because other users
of the machine can see arguments. --push-secret prints the secret with which the
site signs the pushes for this key, instead of the key.`,
		Example: `  USERKEYS_KEY=$(userkeys key forum.example) ./backup
  userkeys key forum.example --push-secret >secret.txt
  userkeys key forum.example --header | curl -H @- https://forum.example/session/current.json`,
		ValidArgsFunction: appkeys.CompleteSites,
		RunE: func(cmd *cobra.Command, args []string) error {
			choice.Site = args[0]
			if pushSecret {
				return printPushSecret(cmd, choice, header)
			}
			c, err := choice.Key(cmd)
			if err != nil {
				return err
			}
			switch {
			case cli.JSON(cmd):
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
	choice.AddAccountFlag(cmd)
	cmd.Flags().BoolVar(&header, "header", false, "print the key as a header line")
	cmd.Flags().BoolVar(&pushSecret, "push-secret", false, "print the secret that pushes for this key are signed with")
	cli.AddJSONFlag(cmd)
	return cmd
}

func printPushSecret(cmd *cobra.Command, choice *appkeys.Choice, header bool) error {
	if header {
		return cli.Exitf(cli.ExitUsage, "a push secret is sent in no header; choose --header or --push-secret")
	}
	s, err := choice.PushSecret(cmd)
	if err != nil {
		return err
	}
	if cli.JSON(cmd) {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{
			"site": s.Site, "client_id": s.ClientID,
			"push_secret": s.Secret.Reveal(),
		})
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), s.Secret.Reveal())
	return err
}
