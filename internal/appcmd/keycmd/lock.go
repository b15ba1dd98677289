package keycmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"userkeys/internal/appcmd/appkeys"
)

func newLockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lock",
		Short: "Forget the passphrase that this session remembers",
		Long: `Forgets the passphrase of your keys, so that the next command asks for it again.
It concerns keys that are encrypted with a passphrase, on Linux: there the kernel
remembers a passphrase for the session in which it was typed, for 12 hours.`,
		Example: "  userkeys lock",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := appkeys.OpenAsking(cmd, nil)
			if err != nil {
				return err
			}
			said := "no passphrase was remembered"
			if store.ForgetPassphrase() {
				said = "the passphrase is forgotten"
			}
			fmt.Fprintln(cmd.ErrOrStderr(), said)
			return nil
		},
	}
}
