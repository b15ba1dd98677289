package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/keystore"
)

// reachTimeout bounds the look at a site in a listing.
const reachTimeout = 5 * time.Second

// siteRow is a line of `userkeys sites`.
type siteRow struct {
	keystore.Account
	Reachable   *bool     `json:"reachable"`                // null: not asked
	Works       *bool     `json:"works"`                    // null: the key was not asked for, or the site did not say
	UnusedEndAt time.Time `json:"unused_end_at,omitzero"`   // when the site ends the key if it is not used before
	MaxLifeAt   time.Time `json:"max_life_end_at,omitzero"` // when the site ends it however it is used

	key *client.Credential // nil: it cannot be opened without asking the person
}

func newSitesCommand() *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:   "sites",
		Short: "List the sites and accounts that there are keys for",
		Long: `Lists every stored key: site, account, scopes, when it ends, when it was last
used, whether the site answers, and whether the key works. Each key is used for one
call that only reads, which counts as a use; none is shown. Keys under a passphrase
are looked at only if USERKEYS_PASSPHRASE has it: nobody is asked. --offline asks
no site and uses no key.`,
		Example: `  userkeys sites
  userkeys sites --offline --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ask := askPassphrase(cmd)
			if _, said := os.LookupEnv(passphraseEnv); !said {
				ask = nil
			}
			store, err := keyStoreAsking(cmd, ask)
			if err != nil {
				return err
			}
			all, err := store.Accounts()
			if err != nil {
				return deskError(err)
			}
			rows := make([]siteRow, len(all))
			for i, a := range all {
				rows[i].Account = a
			}
			if !offline {
				lookAtSites(cmd.Context(), store, rows)
			}
			for _, r := range rows {
				if r.Works != nil && !*r.Works {
					fmt.Fprintf(cmd.ErrOrStderr(), "the key of %s was revoked or has expired; get a new one: userkeys login %s\n", userkeys.Printable(r.String()), r.Site)
				}
			}
			return listing(cmd, rows, "SITE,ACCOUNT,SCOPES,EXPIRES,LAST USED,REACHABLE,KEY", func(r siteRow) []string {
				return []string{r.Site, orDash(r.Name), r.Scopes.String(), r.end(), moment(r.LastUsedAt), word(r.Reachable, "yes", "no"), word(r.Works, "works", "dead")}
			})
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "ask no site, and use no key")
	addJSONFlag(cmd)
	return cmd
}

// end says when the key ends by whichever rule is the first.
func (r siteRow) end() string {
	fixed := r.ExpiresAt
	if fixed.IsZero() || !r.MaxLifeAt.IsZero() && r.MaxLifeAt.Before(fixed) {
		fixed = r.MaxLifeAt
	}
	if !r.UnusedEndAt.IsZero() && (fixed.IsZero() || r.UnusedEndAt.Before(fixed)) {
		return moment(r.UnusedEndAt) + " if unused"
	}
	return moment(fixed)
}

// lookAtSites asks each site once, and by each key that opens without asking the person whether it works, all at the same time.
func lookAtSites(ctx context.Context, store *keystore.Store, rows []siteRow) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	for i := range rows { // a store is for one goroutine
		rows[i].key, _ = store.Credential(rows[i].Account) // one that does not open is not asked
	}
	sites := map[string]*siteLook{}
	var wg sync.WaitGroup
	for i := range rows {
		r := &rows[i]
		if sites[r.Site] == nil {
			look := &siteLook{}
			sites[r.Site] = look
			wg.Go(func() { look.ask(ctx, r.Site) })
		}
		if r.key != nil {
			wg.Go(func() { r.Works = works(ctx, r.key) })
		}
	}
	wg.Wait()
	for i := range rows {
		r := &rows[i]
		if r.Works != nil && *r.Works {
			inHand{r.key, store, r.ID}.used()
			r.LastUsedAt = time.Now().UTC().Truncate(time.Second)
		}
		look := sites[r.Site]
		r.Reachable = &look.reachable
		if days := look.lifetime.UnusedDays; days > 0 {
			r.UnusedEndAt = later(r.LastUsedAt, r.CreatedAt).AddDate(0, 0, days)
		}
		if days := look.lifetime.MaxLifeDays; days > 0 {
			r.MaxLifeAt = r.CreatedAt.AddDate(0, 0, days)
		}
	}
}

// siteLook is what a site says without a key.
type siteLook struct {
	reachable bool
	lifetime  userkeys.DescribedLifetime
}

func (l *siteLook) ask(ctx context.Context, site string) {
	support, err := client.Probe(ctx, nil, site)
	var e *client.APIError
	l.reachable = err == nil || errors.Is(err, userkeys.NotFound) || errors.As(err, &e) && e.Status < 500
	if support.Description != nil {
		l.lifetime = support.Description.Lifetime
	}
}

// works reports whether a site takes a key; nil: it does not say now, or no scope of the key opens anything to ask for.
func works(ctx context.Context, c *client.Credential) *bool {
	alive, err := c.Alive(ctx, &http.Client{})
	if err != nil {
		return nil
	}
	return &alive
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// word is one of two words for an answer, and a dash for none.
func word(b *bool, yes, no string) string {
	switch {
	case b == nil:
		return "-"
	case *b:
		return yes
	}
	return no
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// chosen are the accounts that SITE and --account, or --all, name.
func chosen(cmd *cobra.Command, args []string, everything bool) (*keystore.Store, keystore.Accounts, error) {
	store, err := openKeyStore(cmd)
	if err != nil {
		return nil, nil, err
	}
	all, err := store.Accounts()
	if err != nil {
		return nil, nil, deskError(err)
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
	return store, keystore.Accounts{one}, deskError(err)
}

func newLogoutCommand() *cobra.Command {
	var everything, force bool
	cmd := &cobra.Command{
		Use:   "logout SITE",
		Short: "Revoke the key to a site, then forget it",
		Long: `Revokes the key on the site, so that it is worth nothing any more, and then
forgets it here. Where the site cannot be reached the key is kept, unless
--force says to forget it anyway: it then lives on until it is revoked on the
person's apps page.`,
		Example: `  userkeys logout forum.example
  userkeys logout forum.example --account alice
  userkeys logout --all`,
		ValidArgsFunction: completeSites,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, accounts, err := chosen(cmd, args, everything)
			if err != nil {
				return err
			}
			if len(accounts) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "there is no stored key")
			}
			if len(accounts) == 1 {
				return logout(cmd, store, accounts[0], force)
			}
			failed := 0
			for _, a := range accounts {
				if err := logout(cmd, store, a, force); err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", userkeys.Printable(a.String()), publicText(err))
					failed++
				}
			}
			if failed > 0 {
				return exitf(exitFailure, "%d of %d keys are not revoked", failed, len(accounts))
			}
			return nil
		},
	}
	understand(cmd, 1)
	cmd.Args = siteOrAll(&everything)
	cmd.Flags().String("account", "", "the account, if there are several on the site")
	cmd.Flags().BoolVar(&everything, "all", false, "every site and account")
	cmd.Flags().BoolVar(&force, "force", false, "forget the key even if it could not be revoked")
	addJSONFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("account", completeAccounts) // only a flag that is not there fails
	return cmd
}

// siteOrAll wants a site, or --all and none.
func siteOrAll(everything *bool) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if *everything == (len(args) == 1) || len(args) > 1 {
			return misunderstood(cmd, fmt.Errorf("usage: %s (or --all)", cmd.UseLine()))
		}
		return nil
	}
}

func logout(cmd *cobra.Command, store *keystore.Store, a keystore.Account, force bool) error {
	c, err := store.Credential(a)
	if err == nil {
		err = c.Revoke(cmd.Context(), nil)
	}
	var api *client.APIError
	switch {
	case err == nil:
		tell(cmd, a, "revoked", "The key of %s is revoked and forgotten.\n")
	case errors.As(err, &api) && api.Worthless():
		tell(cmd, a, "worthless", "The key of %s was worthless already; it is forgotten.\n")
	case force:
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: the key of %s is forgotten but not revoked (%s); revoke it on your apps page there\n", userkeys.Printable(a.String()), publicText(err))
	default:
		return notRevoked(c, err)
	}
	return deskError(store.Forget(a.ID))
}

// tell prints what became of an account's key: as a sentence, or as a line of JSON.
func tell(cmd *cobra.Command, a keystore.Account, result, sentence string) {
	if asked, err := cmd.Flags().GetBool("json"); err == nil && asked {
		_ = json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
			Site      string    `json:"site"`
			Account   string    `json:"account"`
			Result    string    `json:"result"`
			ExpiresAt time.Time `json:"expires_at,omitzero"`
		}{a.Site, a.Name, result, a.ExpiresAt}) // a reader that left needs none
		return
	}
	fmt.Fprintf(cmd.OutOrStdout(), sentence, userkeys.Printable(a.String()))
}

func notRevoked(c *client.Credential, err error) error {
	if c == nil {
		return deskError(err)
	}
	said := siteError(c, err)
	var coded *exitError
	if errors.As(said, &coded) {
		return exitf(coded.code, "%s (the key is kept; --force forgets it unrevoked)", coded.text)
	}
	return said
}

func newRenewCommand() *cobra.Command {
	var everything bool
	cmd := &cobra.Command{
		Use:   "renew SITE",
		Short: "Put a new key in the place of one that will end, without asking again",
		Long: `Asks the site for a new key in the place of the stored one, with the same
scopes and a new end. Nobody has to approve, because nothing widens; the site bounds for
how long. Keys near their end are renewed by the other commands without being told.
It is an addition of userkeys sites; on Discourse log in again.`,
		Example: `  userkeys renew forum.example
  userkeys renew --all`,
		ValidArgsFunction: completeSites,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, accounts, err := chosen(cmd, args, everything)
			if err != nil {
				return err
			}
			if !everything {
				return renewOne(cmd, store, accounts[0])
			}
			failed, ending := 0, 0
			for _, a := range accounts {
				if a.ExpiresAt.IsZero() {
					continue
				}
				ending++
				if err := renewOne(cmd, store, a); err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", userkeys.Printable(a.String()), publicText(err))
					failed++
				}
			}
			if failed > 0 {
				return exitf(exitFailure, "%d of %d keys are not renewed", failed, ending)
			}
			return nil
		},
	}
	understand(cmd, 1)
	cmd.Args = siteOrAll(&everything)
	cmd.Flags().String("account", "", "the account, if there are several on the site")
	cmd.Flags().BoolVar(&everything, "all", false, "every key that will end")
	addJSONFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("account", completeAccounts) // only a flag that is not there fails
	return cmd
}

func renewOne(cmd *cobra.Command, store *keystore.Store, a keystore.Account) error {
	if a.ExpiresAt.IsZero() {
		return exitf(exitFailure, "the key of %s has no end of its own; there is nothing to renew", userkeys.Printable(a.String()))
	}
	c, err := store.Credential(a)
	if err != nil {
		return deskError(err)
	}
	now, _, err := store.Renew(cmd.Context(), a, renewBy(nil))
	var api *client.APIError
	switch {
	case errors.As(err, &api) && api.Status == http.StatusNotFound:
		return exitf(exitRefused, "%s does not renew keys; log in again: userkeys login %s", a.Site, a.Site)
	case errors.As(err, &api) && api.Status == http.StatusConflict:
		return exitf(exitRefused, "%s does not renew this key any further; log in again: userkeys login %s", a.Site, a.Site)
	case errors.As(err, &api), errors.Is(err, userkeys.Unavailable):
		return siteError(c, err)
	case err != nil:
		return deskError(err)
	}
	tell(cmd, now, "renewed", "The key of %s now ends at "+now.ExpiresAt.Format(time.RFC3339)+".\n")
	return nil
}

func newKeyCommand() *cobra.Command {
	var header, pushSecret bool
	cmd := &cobra.Command{
		Use:   "key SITE",
		Short: "Print the key to a site, for another program",
		Long: `Prints the stored key, for a program that cannot ask for one itself. Hand it on by a
pipe or a variable, not by an argument: other users of the machine can see those.
--push-secret prints what the site signs this key's pushes with, in place of the key.`,
		Example: `  USERKEYS_KEY=$(userkeys key forum.example) ./backup
  userkeys key forum.example --push-secret >secret.txt
  userkeys key forum.example --header | curl -H @- https://forum.example/session/current.json`,
		ValidArgsFunction: completeSites,
		RunE: func(cmd *cobra.Command, args []string) error {
			if pushSecret {
				return printPushSecret(cmd, args[0], header)
			}
			store, accounts, err := chosen(cmd, args, false)
			if err != nil {
				return err
			}
			c, err := freshCredential(cmd.Context(), store, accounts[0], cmd.ErrOrStderr())
			if err != nil {
				return deskError(err)
			}
			asJSON, err := cmd.Flags().GetBool("json")
			switch {
			case err != nil:
				return err
			case asJSON:
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"site": c.Site, "account": c.Username, "client_id": c.ClientID, "key": c.Key.Reveal()})
			case header:
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", userkeys.KeyHeader, c.Key.Reveal())
			default:
				fmt.Fprintln(cmd.OutOrStdout(), c.Key.Reveal())
			}
			return nil
		},
	}
	understand(cmd, 1)
	cmd.Flags().String("account", "", "the account, if there are several on the site")
	cmd.Flags().BoolVar(&header, "header", false, "print it as a header line")
	cmd.Flags().BoolVar(&pushSecret, "push-secret", false, "print what the site signs this key's pushes with")
	addJSONFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("account", completeAccounts) // only a flag that is not there fails
	return cmd
}

func printPushSecret(cmd *cobra.Command, site string, header bool) error {
	if header {
		return exitf(exitUsage, "a push secret is sent in no header; choose --header or --push-secret")
	}
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	s, err := storedPushSecret(cmd, site)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"site": s.site, "client_id": s.clientID, "push_secret": s.secret.Reveal()})
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), s.secret.Reveal())
	return err
}
