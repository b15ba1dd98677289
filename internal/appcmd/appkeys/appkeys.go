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
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/cli"
	"userkeys/internal/keystore"
)

// A Choice is what a command line says about which of the person's keys it means.
type Choice struct {
	Site, Account string // empty: the only one that there is
	All           bool   // every site and account
}

// AddSiteFlag adds --site, for a command that has no argument SITE.
func (c *Choice) AddSiteFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.Site, "site", "", "the site, if there are keys to several")
	_ = cmd.RegisterFlagCompletionFunc("site", CompleteSites) // it fails only for a flag that does not exist
}

// AddAccountFlag adds --account.
func (c *Choice) AddAccountFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.Account, "account", "", "the account, if there are several on the site")
	_ = cmd.RegisterFlagCompletionFunc("account", CompleteAccounts) // it fails only for a flag that does not exist
}

// Accounts returns the accounts that are chosen, and the store that has their keys.
func (c *Choice) Accounts(cmd *cobra.Command) (*keystore.Store, keystore.Accounts, error) {
	store, err := Open(cmd)
	if err != nil {
		return nil, nil, err
	}
	all, err := store.Accounts()
	if err != nil || c.All {
		return store, all, ExitError(err)
	}
	one, err := all.One(c.Site, c.Account)
	return store, keystore.Accounts{one}, ExitError(err)
}

// Key returns the key of the one account that is chosen, renewed if its end is near.
func (c *Choice) Key(cmd *cobra.Command) (*client.Credential, error) {
	store, accounts, err := c.Accounts(cmd)
	if err != nil {
		return nil, err
	}
	key, err := fresh(cmd.Context(), store, accounts[0], cmd.ErrOrStderr())
	return key, ExitError(err)
}

// KeyFor returns the key for a call to target, which is a path or an address, and
// the path on the site: the key in USERKEYS_KEY, else a stored one.
func (c *Choice) KeyFor(cmd *cobra.Command, target string) (InHand, string, error) {
	if text := os.Getenv(cli.KeyEnv); text != "" {
		return keyFromEnvironment(text, c.Site, target)
	}
	store, err := Open(cmd)
	if err != nil {
		return InHand{}, "", err
	}
	all, err := store.Accounts()
	if err != nil {
		return InHand{}, "", ExitError(err)
	}
	a, path, err := all.For(c.Site, c.Account, target)
	if err != nil {
		return InHand{}, "", ExitError(err)
	}
	key, err := fresh(cmd.Context(), store, a, cmd.ErrOrStderr())
	return InHand{key, store, a.ID}, path, ExitError(err)
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
	return InHand{Credential: &client.Credential{Site: one.Site, Key: key}}, path, ExitError(err)
}

// InHand is a key that calls are made with.
type InHand struct {
	*client.Credential
	store *keystore.Store
	id    string // of the account; empty for a key from the environment
}

// Used records that the key was used.
func (k InHand) Used() {
	if k.id != "" {
		NoteUse(k.store, k.id)
	}
}

// NoteUse records that the key of the account with an id was used, for listings and for programs that watch. It
// ignores errors, because nothing depends on the record.
func NoteUse(store *keystore.Store, id string) {
	_ = store.Used(id)
	calls := keystore.OpenCalls(filepath.Dir(store.Path()))
	_, _ = calls.Take(id, time.Now(), func([]time.Time) time.Duration { return 0 })
}

// renewalTimeout bounds a renewal before the call that the person asked for.
const renewalTimeout = 15 * time.Second

// fresh returns the key of an account, renewed first if it is about to expire. A renewal that fails is only a warning
// while the old key is valid.
func fresh(
	ctx context.Context, store *keystore.Store, a keystore.Account, warn io.Writer,
) (*client.Credential, error) {
	c, err := store.Credential(a)
	if err != nil || !a.RenewalDue(c, time.Now()) {
		return c, err
	}
	ctx, cancel := context.WithTimeout(ctx, renewalTimeout)
	defer cancel()
	_, renewed, err := store.Renew(ctx, a, RenewBy(nil))
	if renewed != nil {
		c = renewed
	}
	var api *client.APIError
	if err == nil || errors.As(err, &api) && (api.Status == http.StatusNotFound || api.Status == http.StatusConflict) {
		return c, nil // renewed, or a site that does not renew, or not any further: nothing to be done now
	}
	fmt.Fprintf(warn, "warning: the key of %s ends at %s and could not be renewed: %s\n", a,
		c.ExpiresAt.Format(time.RFC3339), cli.Public(err))
	return c, nil
}

// RenewBy returns a function that asks the site for a new key with hc, or with a client of its own if hc is nil.
func RenewBy(hc *http.Client) func(context.Context, *client.Credential) (*client.Credential, error) {
	return func(ctx context.Context, c *client.Credential) (*client.Credential, error) { return c.Renew(ctx, hc) }
}

// ExitError returns an error of the key store with its exit code.
func ExitError(err error) error {
	var coded *cli.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	code := cli.ExitFailure
	if errors.Is(err, userkeys.InvalidParameters) || errors.Is(err, userkeys.MissingParameter) {
		code = cli.ExitUsage
	}
	return cli.Exitf(code, "%s", cli.Explain(err))
}
