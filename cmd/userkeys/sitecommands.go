package main

import "github.com/spf13/cobra"

// siteCommands returns the commands that run and manage a site.
func siteCommands() []*cobra.Command {
	return append(manageCommands(), newServeCommand(), newDemoCommand(), newMigrateCommand())
}
