package appcmd

import (
	"github.com/spf13/cobra"
	"userkeys/internal/appcmd/keycmd"
)

// Commands returns the commands that use a site as an app.
func Commands() []*cobra.Command {
	return append(keycmd.Commands(), newPostCommand(), newReceiveCommand(),
		newDoctorCommand())
}
