// Package people has the commands about people and about who did what, in a site's data, which may be in use by a
// running site: user and audit.
package people

import "github.com/spf13/cobra"

// Commands returns the commands about people.
func Commands() []*cobra.Command { return []*cobra.Command{newUserCommand(), newAuditCommand()} }
