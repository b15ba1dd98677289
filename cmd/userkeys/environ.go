package main

import (
	"os"
	"slices"
	"strings"
)

// The environment variables that hold secrets.
const (
	keyEnv        = "USERKEYS_KEY"
	passphraseEnv = "USERKEYS_PASSPHRASE"
)

// withoutSecrets is an environment for programs that need none of ours.
func withoutSecrets(env []string) []string {
	if env == nil {
		env = os.Environ()
	}
	return slices.DeleteFunc(env, func(v string) bool {
		return strings.HasPrefix(v, keyEnv+"=") || strings.HasPrefix(v, passphraseEnv+"=")
	})
}
