// Package appkeys has what the commands of an app's side share about keys: which of
// the person's keys a command uses, by its flags, the environment and the key
// store, and what a site's refusal means for the exit code.
package appkeys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"userkeys"
	"userkeys/client"
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
const StoreHelp = `Keys lie in a folder of your own (USERKEYS_CONFIG_DIR chooses another),
encrypted to a secret in the system's keychain. Without a keychain they are
encrypted under a passphrase, which is asked for or read from
USERKEYS_PASSPHRASE. --keystore plain, or USERKEYS_KEYSTORE=plain, keeps them
readable by whoever can read your files.`

// Open is the person's key store, as the command line and the environment choose it.
func Open(cmd *cobra.Command) (*keystore.Store, error) {
	return OpenAsking(cmd, AskPassphrase(cmd))
}

// OpenAsking is [openKeyStore] with a way of its own to ask for a passphrase; nil: nobody is asked.
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
	return keystore.Open(keystore.Config{Dir: dir, Keeping: keeping, Passphrase: ask}), nil
}

// AskPassphrase reads the passphrase from the environment, else from the terminal; nil if there is neither.
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

// AddAccountFlags gives a command the choice among several keys.
func AddAccountFlags(cmd *cobra.Command) {
	cmd.Flags().String("site", "", "the site, if there are keys for several")
	cmd.Flags().String("account", "", "the account, if there are several on the site")
	_ = cmd.RegisterFlagCompletionFunc("site", CompleteSites) // only a flag that is not there fails
	_ = cmd.RegisterFlagCompletionFunc("account", CompleteAccounts)
}

func accountFlags(cmd *cobra.Command) (site, account string) {
	site, _ = cmd.Flags().GetString("site") // a command without the flag names no site
	account, _ = cmd.Flags().GetString("account")
	return site, account
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

// renewalTimeout bounds a renewal that comes before what the person wants.
const renewalTimeout = 15 * time.Second

// Fresh opens the key of an account, renewed first if its end is near. That it could not be
// renewed is only a warning while the old one lives.
func Fresh(ctx context.Context, store *keystore.Store, a keystore.Account, warn io.Writer) (*client.Credential,
	error,
) {
	c, err := store.Credential(a)
	if err != nil || !a.RenewalDue(c, time.Now()) {
		return c, err
	}
	ctx, cancel := context.WithTimeout(ctx, renewalTimeout)
	defer cancel()
	_, fresh, err := store.Renew(ctx, a, RenewBy(nil))
	if fresh != nil {
		c = fresh
	}
	var api *client.APIError
	if err == nil || errors.As(err, &api) && (api.Status == http.StatusNotFound || api.Status == http.StatusConflict) {
		return c, nil // renewed, or a site that does not renew, or not any further: nothing to be done now
	}
	fmt.Fprintf(warn, "warning: the key of %s ends at %s and could not be renewed: %s\n", a,
		c.ExpiresAt.Format(time.RFC3339), cli.Public(err))
	return c, nil
}

// RenewBy asks the site for a new key by hc; nil: a client of our own.
func RenewBy(hc *http.Client) func(context.Context, *client.Credential) (*client.Credential, error) {
	return func(ctx context.Context, c *client.Credential) (*client.Credential, error) { return c.Renew(ctx, hc) }
}

// InHand is the key that a call is made with.
type InHand struct {
	*client.Credential
	store *keystore.Store
	id    string // of the account; empty for a key from the environment
}

// Used notes that the key was used.
func (k InHand) Used() {
	if k.id != "" {
		NoteUse(k.store, k.id)
	}
}

// NoteUse notes that the key of the account with an id was used, for the listing
// and for the programs that watch. That it could not be noted spoils nothing.
func NoteUse(store *keystore.Store, id string) {
	_ = store.Used(id)
	calls := keystore.OpenCalls(filepath.Dir(store.Path()))
	_, _ = calls.Take(id, time.Now(), func([]time.Time) time.Duration { return 0 })
}

// For finds the key for a path or address: the one in USERKEYS_KEY, else a stored one.
func For(cmd *cobra.Command, target string) (InHand, string, error) {
	site, account := accountFlags(cmd)
	if text := os.Getenv(cli.KeyEnv); text != "" {
		return keyFromEnvironment(text, site, target)
	}
	store, err := Open(cmd)
	if err != nil {
		return InHand{}, "", err
	}
	all, err := store.Accounts()
	if err != nil {
		return InHand{}, "", Error(err)
	}
	a, path, err := all.For(site, account, target)
	if err != nil {
		return InHand{}, "", Error(err)
	}
	c, err := Fresh(cmd.Context(), store, a, cmd.ErrOrStderr())
	return InHand{c, store, a.ID}, path, Error(err)
}

func keyFromEnvironment(text, site, target string) (InHand, string, error) {
	key, err := client.ParseKey(text)
	if err != nil {
		return InHand{}, "", cli.Exitf(cli.ExitUsage, "%s: %s", cli.KeyEnv, cli.Public(err))
	}
	if site == "" {
		site = os.Getenv(SiteEnv)
	}
	if u, err := url.Parse(target); site == "" && err == nil && u.Host != "" {
		site = u.Scheme + "://" + u.Host
	}
	if site == "" {
		return InHand{}, "",
			cli.Exitf(cli.ExitUsage, "%s is set; say which site it is for: --site, or %s", cli.KeyEnv, SiteEnv)
	}
	one := keystore.Account{}
	if one.Site, err = client.ParseSite(site); err != nil {
		return InHand{}, "", cli.Exitf(cli.ExitUsage, "%s", cli.Public(err))
	}
	_, path, err := keystore.Accounts{one}.For("", "", target)
	return InHand{Credential: &client.Credential{Site: one.Site, Key: key}}, path, Error(err)
}

// Error gives what the desk says the exit code that it deserves.
func Error(err error) error {
	var coded *cli.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	code := cli.ExitFailure
	if errors.Is(err, userkeys.InvalidParameters) || errors.Is(err, userkeys.MissingParameter) {
		code = cli.ExitUsage
	}
	var e *userkeys.Error
	if errors.As(err, &e) && e.Err != nil {
		return cli.Exitf(code, "%s (%v)", e.Public, e.Err)
	}
	return cli.Exitf(code, "%s", cli.Public(err))
}

// Chosen are the accounts that SITE and --account, or --all, name.
func Chosen(cmd *cobra.Command, args []string, everything bool) (*keystore.Store, keystore.Accounts, error) {
	store, err := Open(cmd)
	if err != nil {
		return nil, nil, err
	}
	all, err := store.Accounts()
	if err != nil {
		return nil, nil, Error(err)
	}
	if everything {
		return store, all, nil
	}
	site := ""
	if len(args) > 0 {
		site = args[0]
	}
	_, account := accountFlags(cmd)
	one, err := all.One(site, account)
	return store, keystore.Accounts{one}, Error(err)
}
