// Package sitecmd has the commands that run a site, and gathers those that manage one.
package sitecmd

import (
	"github.com/spf13/cobra"

	"userkeys/internal/sitecmd/manage"
	"userkeys/internal/sitecmd/people"
)

// Commands returns the commands that run and manage a site.
func Commands() []*cobra.Command {
	return append(append(people.Commands(), manage.Commands()...), newServeCommand(), newDemoCommand(), newMigrateCommand())
}
