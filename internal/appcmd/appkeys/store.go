package appkeys

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"userkeys/internal/cli"
	"userkeys/internal/keystore"
)

// The environment of the app's commands.
const (
	ConfigDirEnv = "USERKEYS_CONFIG_DIR"
	KeystoreEnv  = "USERKEYS_KEYSTORE"
	SiteEnv      = "USERKEYS_SITE"
)

// StoreHelp says where keys are kept, for the help of a command.
const StoreHelp = `Keys are stored in a folder of your own (USERKEYS_CONFIG_DIR chooses another),
encrypted with a secret in the system's keychain. Without a keychain they are
encrypted with a passphrase, which is asked for or read from
USERKEYS_PASSPHRASE. On Linux it is asked for once a session: the kernel remembers
it for 12 hours, until you sign out, or until userkeys lock. With --keystore plain, or USERKEYS_KEYSTORE=plain, they are
not encrypted: everybody who can read your files can read them.`

// Open returns the person's key store, as the command line and the environment choose it.
func Open(cmd *cobra.Command) (*keystore.Store, error) {
	return OpenAsking(cmd, AskPassphrase(cmd))
}

// OpenAsking returns the person's key store as [Open] does. It calls ask for a
// passphrase; if ask is nil, nobody is asked.
func OpenAsking(cmd *cobra.Command, ask func(fresh bool) (string, error)) (*keystore.Store, error) {
	dir := os.Getenv(ConfigDirEnv)
	if dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return nil, cli.Exitf(cli.ExitFailure, "there is no place to keep keys (%v); set %s to a folder", err,
				ConfigDirEnv)
		}
		dir = filepath.Join(base, "userkeys")
	}
	choice := os.Getenv(KeystoreEnv)
	if f := cmd.Flags().Lookup("keystore"); f != nil && f.Changed {
		choice = f.Value.String()
	}
	keeping, err := keystore.ParseKeeping(choice)
	if err != nil {
		return nil, cli.Exitf(cli.ExitUsage, "%s", cli.Public(err))
	}
	cfg := keystore.Config{Dir: dir, Keeping: keeping, Passphrase: ask}
	if _, said := os.LookupEnv(cli.PassphraseEnv); !said {
		cfg.Session = keystore.SystemSession{}
	}
	return keystore.Open(cfg), nil
}

// AskPassphrase returns a function that reads the passphrase from the environment,
// else from the terminal. It is nil if there is neither.
func AskPassphrase(cmd *cobra.Command) func(fresh bool) (string, error) {
	if text, ok := os.LookupEnv(cli.PassphraseEnv); ok {
		return func(bool) (string, error) { return text, nil }
	}
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	ask := func(text string) (string, error) {
		secret, err := cli.ReadSecret(cmd.Context(), in, func() { fmt.Fprint(cmd.ErrOrStderr(), text) })
		fmt.Fprintln(cmd.ErrOrStderr())
		return secret, err
	}
	return func(fresh bool) (string, error) {
		if !fresh {
			return ask("Passphrase of your keys: ")
		}
		text, err := ask("Choose a passphrase for your keys (there is no keychain here, or you asked for one): ")
		if err != nil || text == "" {
			return text, err
		}
		again, err := ask("The same again: ")
		if err == nil && again != text {
			err = cli.Exitf(cli.ExitFailure, "the two are not the same; nothing was stored")
		}
		return text, err
	}
}

// CompleteSites completes the sites that there are keys for.
func CompleteSites(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return completeFrom(cmd, func(a keystore.Account) string { return a.Site })
}

// CompleteAccounts completes the accounts that there are keys for.
func CompleteAccounts(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return completeFrom(cmd, func(a keystore.Account) string { return a.Name })
}

func completeFrom(cmd *cobra.Command, text func(keystore.Account) string) ([]string, cobra.ShellCompDirective) {
	store, err := Open(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := store.Accounts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, a := range all {
		if t := text(a); t != "" && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
