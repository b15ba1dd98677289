// Package sitecmd has the commands that run a site, and gathers those that manage one.
package sitecmd

import (
	"slices"

	"github.com/spf13/cobra"

	"userkeys/internal/sitecmd/manage"
	"userkeys/internal/sitecmd/people"
	"userkeys/internal/sitecmd/scopes"
)

// Commands returns the commands that run and manage a site.
func Commands() []*cobra.Command {
	run := []*cobra.Command{newServeCommand(), newDemoCommand(), newMigrateCommand(), newRecipeCommand()}
	return slices.Concat(people.Commands(), manage.Commands(), scopes.Commands(), run)
}
