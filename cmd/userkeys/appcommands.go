package main

import "github.com/spf13/cobra"

// appCommands returns the commands that use a site as an app.
func appCommands() []*cobra.Command {
	return append(keyCommands(), newWatchCommand(), newDashboardCommand(), newPostCommand(), newReceiveCommand(), newDoctorCommand())
}
