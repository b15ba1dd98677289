package main

import "github.com/spf13/cobra"

// manageCommands returns the commands that manage the data of a site.
func manageCommands() []*cobra.Command {
	return []*cobra.Command{
		newUserCommand(), newSettingsCommand(), newKeysCommand(), newAdminKeysCommand(), newDeliveriesCommand(officePushes), newNotifyCommand(),
	}
}
