package appcmd

import "github.com/spf13/cobra"

// watchCommands returns the commands that watch what is unread.
func watchCommands() []*cobra.Command {
	return []*cobra.Command{newWatchCommand(), newDashboardCommand()}
}
