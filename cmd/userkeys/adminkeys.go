package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/notify"
)

func newAdminKeysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "admin-keys", Short: "Make, list and revoke the keys of the site's own programs",
		Long: `Make, list and revoke admin API keys: keys for the site's own programs, sent in
the headers Api-Key and Api-Username. A key may do whatever the user that it
acts as may do. A running site refuses a revoked one at once.`,
		Example: `  userkeys admin-keys add --description "backup script" --user root
  userkeys admin-keys list
  userkeys admin-keys revoke 3`,
	}
	addDataFlags(cmd.PersistentFlags())
	add := &cobra.Command{
		Use: "add", Short: "Make a key and print it, this once", Args: cobra.NoArgs, RunE: withOffice(adminKeysAdd),
		Long: `Make a key and print it. It is shown only now: the site keeps no more than a
fingerprint of it. Without --user the key acts as whomever each request names
in the header Api-Username: with it a program can do anything on this site.`,
	}
	add.Flags().String("description", "", "what the key is for (required)")
	add.Flags().String("user", "", "act as this user only")
	addJSONFlag(add)
	list := &cobra.Command{Use: "list", Short: "List keys, newest first", Args: cobra.NoArgs, RunE: withOffice(adminKeysList)}
	addJSONFlag(list)
	revoke := &cobra.Command{Use: "revoke ID...", Short: "Revoke keys by their ids, for good", Args: cobra.MinimumNArgs(1), RunE: withOffice(adminKeysRevoke)}
	cmd.AddCommand(add, list, revoke)
	return cmd
}

// adminKeyRow is an admin API key in a listing.
type adminKeyRow struct {
	ID          int64      `json:"id"`
	Key         string     `json:"key,omitempty"` // once, of a new one
	Description string     `json:"description"`
	Username    *string    `json:"username"` // null: acts as anybody
	CreatedAt   *time.Time `json:"created_at"`
	LastUsedAt  *time.Time `json:"last_used_at"`
	RevokedAt   *time.Time `json:"revoked_at"`
}

func adminKeyRowOf(k userkeys.AdminAPIKey) adminKeyRow {
	row := adminKeyRow{
		ID: k.ID, Description: k.Description,
		CreatedAt: notify.JSONTime(k.CreatedAt), LastUsedAt: notify.JSONTime(k.LastUsedAt), RevokedAt: notify.JSONTime(k.RevokedAt),
	}
	if k.UserID != 0 {
		row.Username = &k.Username
	}
	return row
}

func adminKeysAdd(cmd *cobra.Command, d *office, _ []string) error {
	description, err := cmd.Flags().GetString("description")
	if err != nil {
		return err
	}
	if description == "" {
		return errors.New(`say what the key is for: --description "backup script"`)
	}
	user, err := cmd.Flags().GetString("user")
	if err != nil {
		return err
	}
	if cmd.Flags().Changed("user") && user == "" { // an empty variable must not make a key for everything
		return errors.New("--user is empty; name a user, or leave it out for a key that acts as anybody")
	}
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	text, k, err := d.authority.CreateAdminKey(cmd.Context(), description, user, commandActor)
	if err != nil {
		return err
	}
	if asJSON {
		row := adminKeyRowOf(k)
		row.Key = text.Reveal()
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(row)
	}
	as := "anybody"
	if k.Username != "" {
		as = k.Username
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "key %d, acts as %s; it is shown only now\n", k.ID, as)
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text.Reveal())
	return err
}

func adminKeysList(cmd *cobra.Command, d *office, _ []string) error {
	const page = 500
	var rows []adminKeyRow
	for before := int64(0); ; {
		keys, err := d.authority.AdminKeys(cmd.Context(), before, page)
		if err != nil {
			return err
		}
		for _, k := range keys {
			rows = append(rows, adminKeyRowOf(k))
			before = k.ID
		}
		if len(keys) < page {
			break
		}
	}
	return listing(cmd, rows, "ID,DESCRIPTION,ACTS AS,MADE,LAST USED,REVOKED", adminKeyCells)
}

func adminKeyCells(k adminKeyRow) []string {
	at := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return moment(*t)
	}
	as := "anybody"
	if k.Username != nil {
		as = *k.Username
	}
	return []string{strconv.FormatInt(k.ID, 10), k.Description, as, at(k.CreatedAt), at(k.LastUsedAt), at(k.RevokedAt)}
}

func adminKeysRevoke(cmd *cobra.Command, d *office, args []string) error {
	ids := make([]int64, len(args))
	for i, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id <= 0 {
			return fmt.Errorf("%q is no id of an admin API key; see userkeys admin-keys list", arg)
		}
		ids[i] = id
	}
	for _, id := range ids {
		if err := d.authority.RevokeAdminKey(cmd.Context(), id, commandActor); err != nil {
			return fmt.Errorf("admin API key %d: %s", id, explain(err))
		}
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d revoked\n", len(ids))
	return err
}
