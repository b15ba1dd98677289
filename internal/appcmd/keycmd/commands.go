// Package keycmd has the commands that get, use and end keys: login, call, sites,
// key, renew, logout and lock.
package keycmd

import "github.com/spf13/cobra"

// Commands returns the commands that get, use and end keys.
func Commands() []*cobra.Command {
	return []*cobra.Command{
		newLoginCommand(), newSitesCommand(), newCallCommand(), newKeyCommand(), newRenewCommand(), newLogoutCommand(),
		newLockCommand(),
	}
}
