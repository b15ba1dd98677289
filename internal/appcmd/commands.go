// Package appcmd has the commands of an app's side: those that get and use keys,
// that watch sites, publish posts, receive pushes, and find out what is wrong. It
// links no database.
package appcmd

import (
	"slices"

	"github.com/spf13/cobra"

	"userkeys/internal/appcmd/keycmd"
	"userkeys/internal/appcmd/watchcmd"
)

// Commands returns the commands that use a site as an app.
func Commands() []*cobra.Command {
	return slices.Concat(keycmd.Commands(), watchcmd.Commands(), []*cobra.Command{
		newPostCommand(), newReceiveCommand(), newDoctorCommand(),
	})
}
