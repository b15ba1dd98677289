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

func newKeysCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "List and revoke the keys that users gave"}
	sitedata.AddFlags(cmd.PersistentFlags())
	list := &cobra.Command{
		Use: "list", Short: "List keys, newest first", Args: cobra.NoArgs,
		RunE: sitedata.With(keysList),
	}
	cli.AddJSONFlag(list)
	addKeyFilterFlags(list)
	list.Flags().Bool("all", false, "also those that are revoked or expired")
	revoke := &cobra.Command{
		Use: "revoke [ID...]", Short: "Revoke keys; their owners cannot undo it",
		Long: `Revoke keys by their ids, or all that match. A running site refuses them within
a second. Owners cannot undo what is revoked here.`,
		Example: `  userkeys keys revoke 42
  userkeys keys revoke --user alice
  userkeys keys revoke --all --before 2026-01-31T00:00:00Z`,
		RunE: sitedata.With(keysRevoke),
	}
	addKeyFilterFlags(revoke)
	revoke.Flags().Bool("all", false, "all live keys, or all that match --before")
	revoke.Flags().String("before", "", "only keys made before this time, such as 2026-01-31T00:00:00Z")
	cmd.AddCommand(list, revoke)
	return cmd
}

func addKeyFilterFlags(cmd *cobra.Command) {
	cmd.Flags().String("user", "", "only keys of this user")
	cmd.Flags().String("client", "", "only keys of this client_id")
}

// keyFilter reads the flags of addKeyFilterFlags.
func keyFilter(cmd *cobra.Command, d *sitedata.Data) (site.KeyFilter, error) {
	var f site.KeyFilter
	name, err := cmd.Flags().GetString("user")
	if err != nil {
		return f, err
	}
	if name != "" {
		account, err := d.Store.Account(cmd.Context(), name)
		if err != nil {
			return f, err
		}
		f.UserID = account.ID
	}
	f.ClientID, err = cmd.Flags().GetString("client")
	return f, err
}

// eachKey calls visit with every key that f lets through.
func eachKey(cmd *cobra.Command, d *sitedata.Data, f site.KeyFilter,
	visit func(site.UserAPIKey) error,
) error {
	for {
		keys, err := d.Authority.Keys(cmd.Context(), f)
		if err != nil || len(keys) == 0 {
			return err
		}
		for _, k := range keys {
			if err := visit(k); err != nil {
				return err
			}
		}
		f.Before = keys[len(keys)-1].ID
	}
}

func keysList(cmd *cobra.Command, d *sitedata.Data, _ []string) error {
	f, err := keyFilter(cmd, d)
	if err != nil {
		return err
	}
	all, err := cmd.Flags().GetBool("all")
	if err != nil {
		return err
	}
	f.Live = !all
	names := make(map[int64]string)
	var list []rows.Key
	err = eachKey(cmd, d, f, func(k site.UserAPIKey) error {
		if _, ok := names[k.UserID]; !ok {
			u, err := d.Store.User(cmd.Context(), k.UserID)
			if err != nil {
				return err
			}
			names[k.UserID] = u.Username
		}
		row := rows.NewKey(k, d.Authority.Settings(), time.Now())
		row.Username = names[k.UserID]
		list = append(list, row)
		return nil
	})
	if err == nil {
		err = addPushes(cmd.Context(), d.Pushes, list)
	}
	if err != nil {
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

func keysRevoke(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	ids, err := keysToRevoke(cmd, d, args)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := d.Authority.Revoke(cmd.Context(), id, sitedata.Actor); err != nil {
			return fmt.Errorf("key %d: %s", id, cli.Explain(err))
		}
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d revoked\n", len(ids))
	return err
}

func keysToRevoke(cmd *cobra.Command, d *sitedata.Data, args []string) ([]int64, error) {
	var ids []int64
	for _, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id <= 0 {
			return nil, fmt.Errorf("%q is no id of a key; see userkeys keys list", arg)
		}
		ids = append(ids, id)
	}
	f, err := keyFilter(cmd, d)
	if err != nil {
		return nil, err
	}
	all, err := cmd.Flags().GetBool("all")
	if err != nil {
		return nil, err
	}
	before, err := beforeFlag(cmd)
	if err != nil {
		return nil, err
	}
	matching := all || f.UserID != 0 || f.ClientID != ""
	if matching == (len(ids) > 0) {
		return nil, errors.New("name keys by id, or say --user, --client or --all")
	}
	if !matching {
		return ids, nil
	}
	f.Live = true
	err = eachKey(cmd, d, f, func(k site.UserAPIKey) error {
		if before.IsZero() || k.CreatedAt.Before(before) {
			ids = append(ids, k.ID)
		}
		return nil
	})
	return ids, err
}

func beforeFlag(cmd *cobra.Command) (time.Time, error) {
	text, err := cmd.Flags().GetString("before")
	if err != nil || text == "" {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("--before: %q is no time such as 2026-01-31T00:00:00Z", text)
	}
	return t, nil
}

// addPushes tells of each key with a push address how pushing to it goes.
func addPushes(ctx context.Context, p pushDesk, list []rows.Key) error {
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
