package cli

import (
	"os"
	"slices"
	"strings"
)

// The environment variables that hold secrets.
const (
	KeyEnv        = "USERKEYS_KEY"
	PassphraseEnv = "USERKEYS_PASSPHRASE"
)

// WithoutSecrets returns an environment without the variables that hold secrets, for other programs.
func WithoutSecrets(env []string) []string {
	if env == nil {
		env = os.Environ()
	}
	return slices.DeleteFunc(env, func(v string) bool {
		return strings.HasPrefix(v, KeyEnv+"=") || strings.HasPrefix(v, PassphraseEnv+"=")
	})
}
