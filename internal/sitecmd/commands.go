package sitecmd

import (
	"github.com/spf13/cobra"
	"userkeys/internal/sitecmd/manage"
)

// Commands returns the commands that run and manage a site.
func Commands() []*cobra.Command {
	return append(manage.Commands(), newServeCommand(), newDemoCommand(), newMigrateCommand())
}
