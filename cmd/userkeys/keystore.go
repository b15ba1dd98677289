package main

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
	"userkeys/internal/keystore"
)

// The environment of the app's commands.
const (
	configDirEnv  = "USERKEYS_CONFIG_DIR"
	keystoreEnv   = "USERKEYS_KEYSTORE"
	passphraseEnv = "USERKEYS_PASSPHRASE"
	keyEnv        = "USERKEYS_KEY"
	siteEnv       = "USERKEYS_SITE"
)

const storeHelp = `Keys lie in a folder of your own (USERKEYS_CONFIG_DIR chooses another),
encrypted to a secret in the system's keychain. Without a keychain they are
encrypted under a passphrase, which is asked for or read from
USERKEYS_PASSPHRASE. --keystore plain, or USERKEYS_KEYSTORE=plain, keeps them
readable by whoever can read your files.`

// openKeyStore is the person's key store, as the command line and the environment choose it.
func openKeyStore(cmd *cobra.Command) (*keystore.Store, error) {
	return keyStoreAsking(cmd, askPassphrase(cmd))
}

// keyStoreAsking is [openKeyStore] with a way of its own to ask for a passphrase; nil: nobody is asked.
func keyStoreAsking(cmd *cobra.Command, ask func(fresh bool) (string, error)) (*keystore.Store, error) {
	dir := os.Getenv(configDirEnv)
	if dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return nil, exitf(exitFailure, "there is no place to keep keys (%v); set %s to a folder", err, configDirEnv)
		}
		dir = filepath.Join(base, "userkeys")
	}
	choice := os.Getenv(keystoreEnv)
	if f := cmd.Flags().Lookup("keystore"); f != nil && f.Changed {
		choice = f.Value.String()
	}
	keeping, err := keystore.ParseKeeping(choice)
	if err != nil {
		return nil, exitf(exitUsage, "%s", publicText(err))
	}
	return keystore.Open(keystore.Config{Dir: dir, Keeping: keeping, Passphrase: ask}), nil
}

// askPassphrase reads the passphrase from the environment, else from the terminal; nil if there is neither.
func askPassphrase(cmd *cobra.Command) func(fresh bool) (string, error) {
	if text, ok := os.LookupEnv(passphraseEnv); ok {
		return func(bool) (string, error) { return text, nil }
	}
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	ask := func(text string) (string, error) {
		secret, err := readSecret(cmd.Context(), in, func() { fmt.Fprint(cmd.ErrOrStderr(), text) })
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
			err = exitf(exitFailure, "the two are not the same; nothing was stored")
		}
		return text, err
	}
}

// readSecret reads a line without showing it. Ctrl-C ends it at once and leaves the terminal as it was:
// the read itself cannot be interrupted, and ends with the program.
func readSecret(ctx context.Context, in *os.File, prompt func()) (string, error) {
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", exitf(exitFailure, "the passphrase could not be read: %v", err)
	}
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := term.ReadPassword(int(in.Fd()))
		done <- result{text, err}
	}()
	time.Sleep(50 * time.Millisecond) // until what is typed is not shown any more
	prompt()
	select {
	case r := <-done:
		if r.err != nil {
			return "", exitf(exitFailure, "no passphrase was given; nothing was done")
		}
		return string(r.text), nil
	case <-ctx.Done():
		_ = term.Restore(int(in.Fd()), before)
		return "", exitf(exitFailure, "interrupted; nothing was done")
	}
}

// addAccountFlags gives a command the choice among several keys.
func addAccountFlags(cmd *cobra.Command) {
	cmd.Flags().String("site", "", "the site, if there are keys for several")
	cmd.Flags().String("account", "", "the account, if there are several on the site")
	_ = cmd.RegisterFlagCompletionFunc("site", completeSites) // only a flag that is not there fails
	_ = cmd.RegisterFlagCompletionFunc("account", completeAccounts)
}

func accountFlags(cmd *cobra.Command) (site, account string) {
	site, _ = cmd.Flags().GetString("site") // a command without the flag names no site
	account, _ = cmd.Flags().GetString("account")
	return site, account
}

// completeSites completes the sites that there are keys for.
func completeSites(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return completeFrom(cmd, func(a keystore.Account) string { return a.Site })
}

func completeAccounts(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return completeFrom(cmd, func(a keystore.Account) string { return a.Name })
}

func completeFrom(cmd *cobra.Command, text func(keystore.Account) string) ([]string, cobra.ShellCompDirective) {
	store, err := openKeyStore(cmd)
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

// freshCredential opens the key of an account, renewed first if its end is near. That it could not be
// renewed is only a warning while the old one lives.
func freshCredential(ctx context.Context, store *keystore.Store, a keystore.Account, warn io.Writer) (*client.Credential, error) {
	c, err := store.Credential(a)
	if err != nil || !a.RenewalDue(c, time.Now()) {
		return c, err
	}
	ctx, cancel := context.WithTimeout(ctx, renewalTimeout)
	defer cancel()
	_, fresh, err := store.Renew(ctx, a, renewBy(nil))
	if fresh != nil {
		c = fresh
	}
	var api *client.APIError
	if err == nil || errors.As(err, &api) && (api.Status == http.StatusNotFound || api.Status == http.StatusConflict) {
		return c, nil // renewed, or a site that does not renew, or not any further: nothing to be done now
	}
	fmt.Fprintf(warn, "warning: the key of %s ends at %s and could not be renewed: %s\n", a, c.ExpiresAt.Format(time.RFC3339), publicText(err))
	return c, nil
}

// renewBy asks the site for a new key by hc; nil: a client of our own.
func renewBy(hc *http.Client) func(context.Context, *client.Credential) (*client.Credential, error) {
	return func(ctx context.Context, c *client.Credential) (*client.Credential, error) { return c.Renew(ctx, hc) }
}

// inHand is the key that a call is made with.
type inHand struct {
	*client.Credential
	store *keystore.Store
	id    string // of the account; empty for a key from the environment
}

// used notes the use, for the listing and for what watches; that it could not be noted spoils nothing.
func (k inHand) used() {
	if k.id != "" {
		_ = k.store.Used(k.id)
		_, _ = keystore.OpenCalls(filepath.Dir(k.store.Path())).Take(k.id, time.Now(), func([]time.Time) time.Duration { return 0 })
	}
}

// keyFor finds the key for a path or address: the one in USERKEYS_KEY, else a stored one.
func keyFor(cmd *cobra.Command, target string) (inHand, string, error) {
	site, account := accountFlags(cmd)
	if text := os.Getenv(keyEnv); text != "" {
		return keyFromEnvironment(text, site, target)
	}
	store, err := openKeyStore(cmd)
	if err != nil {
		return inHand{}, "", err
	}
	all, err := store.Accounts()
	if err != nil {
		return inHand{}, "", deskError(err)
	}
	a, path, err := all.For(site, account, target)
	if err != nil {
		return inHand{}, "", deskError(err)
	}
	c, err := freshCredential(cmd.Context(), store, a, cmd.ErrOrStderr())
	return inHand{c, store, a.ID}, path, deskError(err)
}

func keyFromEnvironment(text, site, target string) (inHand, string, error) {
	key, err := client.ParseKey(text)
	if err != nil {
		return inHand{}, "", exitf(exitUsage, "%s: %s", keyEnv, publicText(err))
	}
	if site == "" {
		site = os.Getenv(siteEnv)
	}
	if u, err := url.Parse(target); site == "" && err == nil && u.Host != "" {
		site = u.Scheme + "://" + u.Host
	}
	if site == "" {
		return inHand{}, "", exitf(exitUsage, "%s is set; say which site it is for: --site, or %s", keyEnv, siteEnv)
	}
	one := keystore.Account{}
	if one.Site, err = client.ParseSite(site); err != nil {
		return inHand{}, "", exitf(exitUsage, "%s", publicText(err))
	}
	_, path, err := keystore.Accounts{one}.For("", "", target)
	return inHand{Credential: &client.Credential{Site: one.Site, Key: key}}, path, deskError(err)
}

// deskError gives what the desk says the exit code that it deserves.
func deskError(err error) error {
	var coded *exitError
	if err == nil || errors.As(err, &coded) {
		return err
	}
	code := exitFailure
	if errors.Is(err, userkeys.InvalidParameters) || errors.Is(err, userkeys.MissingParameter) {
		code = exitUsage
	}
	var e *userkeys.Error
	if errors.As(err, &e) && e.Err != nil {
		return exitf(code, "%s (%v)", e.Public, e.Err)
	}
	return exitf(code, "%s", publicText(err))
}
