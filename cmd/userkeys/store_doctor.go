package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"userkeys"
	appdesk "userkeys/internal/desk"
)

const passphraseEnv = "USERKEYS_PASSPHRASE"

// openDoctorStore finds the person's key store: in $USERKEYS_CONFIG_DIR, or userkeys in the usual place.
func openDoctorStore(cmd *cobra.Command) (*appdesk.KeyStore, error) {
	dir := os.Getenv(configDirEnv)
	if dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return nil, exitf(exitFailure, "there is no place to keep keys (%v); set %s to a folder", err, configDirEnv)
		}
		dir = filepath.Join(base, "userkeys")
	}
	return appdesk.OpenKeyStore(appdesk.StoreConfig{Dir: dir, Passphrase: func(bool) (string, error) {
		if text := os.Getenv(passphraseEnv); text != "" {
			return text, nil
		}
		in, ok := cmd.InOrStdin().(*os.File)
		if !ok || !term.IsTerminal(int(in.Fd())) {
			return "", userkeys.Errorf(userkeys.MissingParameter, "the keys are under a passphrase; set %s", passphraseEnv)
		}
		cmd.PrintErr("Passphrase of the keys: ")
		text, err := term.ReadPassword(int(in.Fd()))
		cmd.PrintErrln()
		return string(text), err
	}}), nil
}
