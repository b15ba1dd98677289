// Package manage has the commands that manage a site's data, which may be in use by a
// running site: settings, keys, admin-keys, deliveries and notify.
package manage

import "github.com/spf13/cobra"

// Commands returns the commands that manage the data of a site.
func Commands() []*cobra.Command {
	return []*cobra.Command{
		newSettingsCommand(), newKeysCommand(), newAdminKeysCommand(),
		newDeliveriesCommand(), newNotifyCommand(),
	}
}
