package manage

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"userkeys/internal/cli"
	"userkeys/internal/rows"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/site"
)

// adminKeys are the commands `userkeys admin-keys`.
type adminKeys struct {
	options              sitedata.Options
	description, user    string
	permissions, expires string
}

func newAdminKeysCommand() *cobra.Command {
	c := &adminKeys{}
	cmd := &cobra.Command{
		Use: "admin-keys", Short: "Create, list and revoke keys for the site's own programs",
		Long: `Create, list and revoke admin API keys. They are for the site's own programs, which
send them in the headers Api-Key and Api-Username. A key may do what the user that
it acts as may do, or only what its permissions name. A running site refuses a
revoked key at once.`,
		Example: `  userkeys admin-keys add --description "backup script" --user root --permissions audit,keys
  userkeys admin-keys list
  userkeys admin-keys revoke 3`,
	}
	c.options.AddFlags(cmd.PersistentFlags())
	add := &cobra.Command{
		Use: "add", Short: "Create a key and print it once", Args: cobra.NoArgs, RunE: c.options.With(c.add),
		Long: `Create a key and print it. It is shown only this once: the site stores only its
hash. Without --user the key acts as the user that each request names in the
header Api-Username. Without --permissions it may do everything that the user may
do. Without both, a program with the key can do anything on this site. A key that
has either cannot make or change administrators, and no key can create another.

Permissions: ` + strings.ReplaceAll(site.AllAdminPermissions().String(), ",", ", ") + `.`,
	}
	f := add.Flags()
	f.StringVar(&c.description, "description", "", "what the key is for (required)")
	f.StringVar(&c.user, "user", "", "user that the key always acts as")
	f.StringVar(&c.permissions, "permissions", "", "permissions of the key, separated by commas (default: everything)")
	f.StringVar(&c.expires, "expires", "",
		"when the key expires: 90d, 12h, or a time such as 2027-01-31T12:00:00Z (default: never)")
	cli.AddJSONFlag(add)
	list := &cobra.Command{Use: "list", Short: "List admin API keys, newest first", Args: cobra.NoArgs}
	list.RunE = c.options.With(adminKeysList)
	cli.AddJSONFlag(list)
	revoke := &cobra.Command{
		Use: "revoke ID...", Short: "Revoke admin API keys by their ids; this cannot be undone",
		Args: cobra.MinimumNArgs(1), RunE: c.options.With(adminKeysRevoke),
	}
	cmd.AddCommand(add, list, revoke)
	return cmd
}

func (c *adminKeys) add(cmd *cobra.Command, d *sitedata.Data, _ []string) error {
	given := cmd.Flags().Changed
	switch { // an empty variable must not make a key for everything
	case c.description == "":
		return errors.New(`say what the key is for: --description "backup script"`)
	case given("user") && c.user == "":
		return errors.New("--user is empty; name a user, or leave it out for a key that acts as anybody")
	case given("permissions") && c.permissions == "":
		return errors.New("--permissions is empty; name some, or leave it out for a key that may do everything")
	}
	n := site.NewAdminAPIKey{Description: c.description, Username: c.user}
	var err error
	if n.Permissions, err = site.ParseAdminPermissions(c.permissions); err != nil {
		return err
	}
	if given("expires") {
		if n.ExpiresAt, err = parseExpires(c.expires, time.Now()); err != nil {
			return err
		}
	}
	text, k, err := d.Authority.CreateAdminKey(cmd.Context(), n, sitedata.Operator)
	if err != nil {
		return err
	}
	if cli.JSON(cmd) {
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
	if k.Username == "" && slices.Equal(k.Permissions, site.AdminPermissions{site.AdminIntrospect}) {
		fmt.Fprintln(cmd.ErrOrStderr(), "a program that asks about keys must name a user in Api-Username, which clients of "+
			"RFC 7662 do not; a key made with --user needs no name")
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text.Reveal())
	return err
}

// parseExpires reads when a key ends.
func parseExpires(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 36500 {
			return now.AddDate(0, 0, n), nil
		}
	}
	if after, err := time.ParseDuration(text); err == nil && after > 0 {
		return now.Add(after), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	return time.Time{},
		fmt.Errorf("--expires is %q; say when the key ends, as 90d, 12h or 2027-01-31T12:00:00Z", text)
}

func adminKeysList(cmd *cobra.Command, d *sitedata.Data, _ []string) error {
	found, err := sitedata.Every(func(before int64) ([]site.AdminAPIKey, error) {
		return d.Authority.AdminKeys(cmd.Context(), before, 500)
	}, func(k site.AdminAPIKey) int64 { return k.ID })
	if err != nil {
		return err
	}
	list := make([]rows.AdminKey, len(found))
	for i, k := range found {
		list[i] = rows.NewAdminKey(k)
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
	ids, err := parseIDs(args, "an admin API key", "userkeys admin-keys list")
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := d.Authority.RevokeAdminKey(cmd.Context(), id, sitedata.Operator); err != nil {
			return fmt.Errorf("admin API key %d: %s", id, cli.Explain(err))
		}
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d revoked\n", len(ids))
	return err
}
