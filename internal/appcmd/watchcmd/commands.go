// Package watchcmd has the commands watch and dashboard: what is unread on many sites.
package watchcmd

import "github.com/spf13/cobra"

// Commands returns the commands that watch what is unread.
func Commands() []*cobra.Command {
	return []*cobra.Command{newWatchCommand(), newDashboardCommand()}
}
