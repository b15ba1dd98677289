package main

import "github.com/spf13/cobra"

// keyCommands returns the commands that get, use and end keys.
func keyCommands() []*cobra.Command {
	return []*cobra.Command{
		newLoginCommand(), newSitesCommand(), newCallCommand(), newKeyCommand(), newRenewCommand(), newLogoutCommand(),
	}
}
