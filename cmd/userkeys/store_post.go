package main

import (
	"github.com/spf13/cobra"

	appdesk "userkeys/internal/desk"
)

// openPersonalKeys finds the person's keys.
func openPersonalKeys(*cobra.Command) (*appdesk.KeyStore, error) {
	s, err := openKeyStore()
	if err != nil {
		return nil, err
	}
	return appdesk.OpenKeyStore(appdesk.StoreConfig{Dir: s.dir}), nil
}
