package manage

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"userkeys/internal/cli"
	"userkeys/internal/rows"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/site"
)

func newAdminKeysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "admin-keys", Short: "Make, list and revoke the keys of the site's own programs",
		Long: `Make, list and revoke admin API keys: keys for the site's own programs, sent in
the headers Api-Key and Api-Username. A key may do what the user that it acts
as may do, or the part of it that its permissions name. A running site refuses
a revoked one at once.`,
		Example: `  userkeys admin-keys add --description "backup script" --user root --permissions audit,keys
  userkeys admin-keys list
  userkeys admin-keys revoke 3`,
	}
	sitedata.AddFlags(cmd.PersistentFlags())
	add := &cobra.Command{
		Use: "add", Short: "Make a key and print it, this once", Args: cobra.NoArgs, RunE: sitedata.With(adminKeysAdd),
		Long: `Make a key and print it. It is shown only now: the site keeps no more than a
fingerprint of it. Without --user the key acts as whomever each request names
in the header Api-Username. Without --permissions it may do everything that the
user may; without both a program can do anything on this site with it. A key
that has either leaves administrators alone, and no key makes another one.

Permissions: ` + strings.ReplaceAll(site.AllAdminPermissions().String(), ",", ", ") + `.`,
	}
	add.Flags().String("description", "", "what the key is for (required)")
	add.Flags().String("user", "", "act as this user only")
	add.Flags().String("permissions", "", "may do this only: names with commas between")
	add.Flags().String("expires", "",
		"when the key ends: 90d, 12h, or a time such as 2027-01-31T12:00:00Z (default: never)")
	cli.AddJSONFlag(add)
	list := &cobra.Command{
		Use: "list", Short: "List keys, newest first", Args: cobra.NoArgs,
		RunE: sitedata.With(adminKeysList),
	}
	cli.AddJSONFlag(list)
	revoke := &cobra.Command{
		Use: "revoke ID...", Short: "Revoke keys by their ids, for good",
		Args: cobra.MinimumNArgs(1), RunE: sitedata.With(adminKeysRevoke),
	}
	cmd.AddCommand(add, list, revoke)
	return cmd
}

func adminKeysAdd(cmd *cobra.Command, d *sitedata.Data, _ []string) error {
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
	n := site.NewAdminAPIKey{Description: description, Username: user}
	if n.Permissions, n.ExpiresAt, err = adminKeyLimits(cmd.Flags(), time.Now()); err != nil {
		return err
	}
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	text, k, err := d.Authority.CreateAdminKey(cmd.Context(), n, sitedata.Actor)
	if err != nil {
		return err
	}
	if asJSON {
		row := rows.NewAdminKey(k)
		row.Key = text.Reveal()
		return cli.WriteJSON(cmd.OutOrStdout(), row)
	}
	as := "anybody"
	if k.Username != "" {
		as = k.Username
	}
	if len(k.Permissions) > 0 {
		as += ", may " + k.Permissions.String()
	}
	if !k.ExpiresAt.IsZero() {
		as += ", ends at " + cli.Moment(k.ExpiresAt)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "key %d, acts as %s; it is shown only now\n", k.ID, as)
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text.Reveal())
	return err
}

// adminKeyLimits reads --permissions and --expires.
func adminKeyLimits(flags *pflag.FlagSet, now time.Time) (site.AdminPermissions, time.Time, error) {
	permissions, err := flags.GetString("permissions")
	if err != nil {
		return nil, time.Time{}, err
	}
	if flags.Changed("permissions") && permissions == "" { // an empty variable must not make a key for everything
		return nil, time.Time{},
			errors.New("--permissions is empty; name some, or leave it out for a key that may do everything")
	}
	may, err := site.ParseAdminPermissions(permissions)
	if err != nil {
		return nil, time.Time{}, err
	}
	text, err := flags.GetString("expires")
	if err != nil || !flags.Changed("expires") {
		return may, time.Time{}, err
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 36500 {
			return may, now.AddDate(0, 0, n), nil
		}
	}
	if after, err := time.ParseDuration(text); err == nil && after > 0 {
		return may, now.Add(after), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return may, at, nil
	}
	return nil, time.Time{},
		fmt.Errorf("--expires is %q; say when the key ends, as 90d, 12h or 2027-01-31T12:00:00Z", text)
}

func adminKeysList(cmd *cobra.Command, d *sitedata.Data, _ []string) error {
	const page = 500
	var list []rows.AdminKey
	for before := int64(0); ; {
		keys, err := d.Authority.AdminKeys(cmd.Context(), before, page)
		if err != nil {
			return err
		}
		for _, k := range keys {
			list = append(list, rows.NewAdminKey(k))
			before = k.ID
		}
		if len(keys) < page {
			break
		}
	}
	return cli.Listing(cmd, list, "ID,DESCRIPTION,ACTS AS,MAY,MADE,LAST USED,ENDS,REVOKED", adminKeyCells)
}

func adminKeyCells(k rows.AdminKey) []string {
	as := "anybody"
	if k.Username != nil {
		as = *k.Username
	}
	may := "everything"
	if len(k.Permissions) > 0 {
		may = strings.Join(k.Permissions, ",")
	}
	return []string{
		strconv.FormatInt(k.ID, 10), k.Description, as, may, cli.TimeCell(k.CreatedAt),
		cli.TimeCell(k.LastUsedAt), cli.TimeCell(k.ExpiresAt), cli.TimeCell(k.RevokedAt),
	}
}

func adminKeysRevoke(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	ids := make([]int64, len(args))
	for i, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id <= 0 {
			return fmt.Errorf("%q is no id of an admin API key; see userkeys admin-keys list", arg)
		}
		ids[i] = id
	}
	for _, id := range ids {
		if err := d.Authority.RevokeAdminKey(cmd.Context(), id, sitedata.Actor); err != nil {
			return fmt.Errorf("admin API key %d: %s", id, cli.Explain(err))
		}
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d revoked\n", len(ids))
	return err
}
