package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/internal/cli"
	"userkeys/internal/rows"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/site"
)

// keys are the commands `userkeys keys`.
type keys struct {
	options      sitedata.Options
	user, client string
	all          bool
	before       string
}

func newKeysCommand() *cobra.Command {
	c := &keys{}
	cmd := &cobra.Command{Use: "keys", Short: "List and revoke the API keys of users"}
	c.options.AddFlags(cmd.PersistentFlags())
	list := &cobra.Command{
		Use: "list", Short: "List keys, newest first", Args: cobra.NoArgs, RunE: c.options.With(c.list),
	}
	cli.AddJSONFlag(list)
	list.Flags().BoolVar(&c.all, "all", false, "list also keys that are revoked or expired")
	revoke := &cobra.Command{
		Use: "revoke [ID...]", Short: "Revoke keys; their owners cannot undo it",
		Long: `Revoke keys by their ids, or all keys that the options select. A running site
refuses them within a second. Their owners cannot undo it.`,
		Example: `  userkeys keys revoke 42
  userkeys keys revoke --user alice
  userkeys keys revoke --all --before 2026-01-31T00:00:00Z`,
		RunE: c.options.With(c.revoke),
	}
	revoke.Flags().BoolVar(&c.all, "all", false, "all live keys; with --before, all that were made before that time")
	revoke.Flags().StringVar(&c.before, "before", "", "only keys made before this time, such as 2026-01-31T00:00:00Z")
	for _, cmd := range []*cobra.Command{list, revoke} {
		cmd.Flags().StringVar(&c.user, "user", "", "only keys of this user")
		cmd.Flags().StringVar(&c.client, "client", "", "only keys of the client with this client_id")
	}
	cmd.AddCommand(list, revoke)
	return cmd
}

// filter is what --user and --client ask for.
func (c *keys) filter(cmd *cobra.Command, d *sitedata.Data) (site.KeyFilter, error) {
	f := site.KeyFilter{ClientID: c.client}
	if c.user == "" {
		return f, nil
	}
	account, err := d.Store.Account(cmd.Context(), c.user)
	f.UserID = account.ID
	return f, err
}

// everyKey returns the keys that f lets through.
func everyKey(cmd *cobra.Command, d *sitedata.Data, f site.KeyFilter) ([]site.UserAPIKey, error) {
	return sitedata.Every(func(before int64) ([]site.UserAPIKey, error) {
		f.Before = before
		return d.Authority.Keys(cmd.Context(), f)
	}, func(k site.UserAPIKey) int64 { return k.ID })
}

func (c *keys) list(cmd *cobra.Command, d *sitedata.Data, _ []string) error {
	f, err := c.filter(cmd, d)
	if err != nil {
		return err
	}
	f.Live = !c.all
	found, err := everyKey(cmd, d, f)
	if err != nil {
		return err
	}
	names := map[int64]string{}
	list := make([]rows.Key, len(found))
	for i, k := range found {
		list[i] = rows.NewKey(k, d.Authority.Settings(), time.Now())
		if list[i].Username, err = nameOf(cmd.Context(), d, k.UserID, names); err != nil {
			return err
		}
	}
	if err := addPushes(cmd.Context(), d.Pushes, list); err != nil {
		return err
	}
	return cli.Listing(cmd, list, "ID,USER,APPLICATION,SCOPES,APPROVED,LAST USED,EXPIRES,REVOKED,CLIENT", keyCells)
}

func keyCells(k rows.Key) []string {
	revoked := cli.TimeCell(k.RevokedAt)
	if k.RevokedBy != "" {
		revoked += " by " + k.RevokedBy
	}
	return []string{
		strconv.FormatInt(k.ID, 10), k.Username, k.ApplicationName, userkeys.Scopes(k.Scopes).String(),
		cli.TimeCell(k.CreatedAt), cli.TimeCell(k.LastUsedAt), cli.TimeCell(k.ExpiresAt), revoked, k.ClientID,
	}
}

func (c *keys) revoke(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	ids, err := c.toRevoke(cmd, d, args)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := d.Authority.Revoke(cmd.Context(), id, sitedata.Operator); err != nil {
			return fmt.Errorf("key %d: %s", id, cli.Explain(err))
		}
	}
	if len(ids) > 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "Servers that run refuse what was revoked within a second.")
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d revoked\n", len(ids))
	return err
}

// toRevoke returns the ids of the keys that a command line selects.
func (c *keys) toRevoke(cmd *cobra.Command, d *sitedata.Data, args []string) ([]int64, error) {
	ids, err := parseIDs(args, "a key", "userkeys keys list")
	if err != nil {
		return nil, err
	}
	f, err := c.filter(cmd, d)
	if err != nil {
		return nil, err
	}
	var before time.Time
	if c.before != "" {
		if before, err = time.Parse(time.RFC3339, c.before); err != nil {
			return nil, fmt.Errorf("--before: %q is no time such as 2026-01-31T00:00:00Z", c.before)
		}
	}
	matching := c.all || f.UserID != 0 || f.ClientID != ""
	if matching == (len(ids) > 0) {
		return nil, errors.New("name keys by id, or say --user, --client or --all")
	}
	if !matching {
		return ids, nil
	}
	f.Live = true
	found, err := everyKey(cmd, d, f)
	for _, k := range found {
		if before.IsZero() || k.CreatedAt.Before(before) {
			ids = append(ids, k.ID)
		}
	}
	return ids, err
}

// addPushes adds to each key with a push URL how pushing to it goes.
func addPushes(ctx context.Context, p pushes, list []rows.Key) error {
	var pushed []int // rows with an address
	for i, r := range list {
		if r.PushURL != "" {
			pushed = append(pushed, i)
		}
	}
	for part := range slices.Chunk(pushed, 500) {
		ids := make([]int64, len(part))
		for i, row := range part {
			ids[i] = list[row].ID
		}
		states, err := p.KeyPushes(ctx, ids)
		if err != nil {
			return err
		}
		for _, row := range part {
			list[row].Push = rows.NewKeyPush(states[list[row].ID])
		}
	}
	return nil
}

// parseIDs reads the ids that a command line names; list is the command that lists them.
func parseIDs(args []string, what, list string) ([]int64, error) {
	var ids []int64
	for _, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id <= 0 {
			return nil, fmt.Errorf("%q is no id of %s; see %s", arg, what, list)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
