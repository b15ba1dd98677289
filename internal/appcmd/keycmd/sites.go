package keycmd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
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
		Short: "List the sites and accounts with a stored key",
		Long: `Lists every stored key: site, account, scopes, when it expires, when it was last
used, whether the site answers, and whether the key works. For this each key makes
one call that only reads, which counts as a use. No key is printed. Keys that are
encrypted with a passphrase are checked only if USERKEYS_PASSPHRASE is set; nobody
is asked for it. With --offline no site is called and no key is used.`,
		Example: `  userkeys sites
  userkeys sites --offline --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listSites(cmd, offline) },
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "call no site, and use no key")
	cli.AddJSONFlag(cmd)
	return cmd
}

func listSites(cmd *cobra.Command, offline bool) error {
	ask := appkeys.AskPassphrase(cmd)
	if _, said := os.LookupEnv(cli.PassphraseEnv); !said {
		ask = nil
	}
	store, err := appkeys.OpenAsking(cmd, ask)
	if err != nil {
		return err
	}
	all, err := store.Accounts()
	if err != nil {
		return appkeys.ExitError(err)
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
			fmt.Fprintf(cmd.ErrOrStderr(),
				"the key of %s was revoked or has expired; get a new one: userkeys login %s\n",
				userkeys.Printable(r.String()), r.Site)
		}
	}
	return cli.Listing(cmd, rows, "SITE,ACCOUNT,SCOPES,EXPIRES,LAST USED,REACHABLE,KEY", func(r siteRow) []string {
		return []string{
			r.Site, cli.OrDash(r.Name), r.Scopes.String(), r.end(), cli.Moment(r.LastUsedAt),
			word(r.Reachable, "yes", "no"), word(r.Works, "works", "dead"),
		}
	})
}

// end says when the key ends by whichever rule is the first.
func (r siteRow) end() string {
	fixed := r.ExpiresAt
	if fixed.IsZero() || !r.MaxLifeAt.IsZero() && r.MaxLifeAt.Before(fixed) {
		fixed = r.MaxLifeAt
	}
	if !r.UnusedEndAt.IsZero() && (fixed.IsZero() || r.UnusedEndAt.Before(fixed)) {
		return cli.Moment(r.UnusedEndAt) + " if unused"
	}
	return cli.Moment(fixed)
}

// lookAtSites asks all sites at the same time whether they answer, and whether the keys work that can be opened
// without asking the person.
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
			appkeys.NoteUse(store, r.ID)
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

// works reports whether a site takes a key. It is nil if the site does not say now,
// or if the key has no scope for anything that could be asked.
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

// word returns yes or no, or a dash if b is nil.
func word(b *bool, yes, no string) string {
	switch {
	case b == nil:
		return "-"
	case *b:
		return yes
	}
	return no
}
