package people

import (
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"userkeys/internal/cli"
	"userkeys/internal/rows"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/internal/sso"
)

const syncLong = `Create, change and suspend users as a website tells of its own. FILE is JSON, or - for
standard input:

    {"login": "forum", "users": [
      {"external_id": "17", "username": "alice", "name": "Alice A", "email": "alice@mail.example",
       "groups": ["editors"], "admin": false, "moderator": false, "suspended": false}]}

login is the name of a [[login]] of the configuration file, whose rules apply as when the
users sign in. All of a user's record counts: groups that are not named are groups that
the user is not in. Only "suspended" may be left out, and then stays as it is. A user who
is in none of the only-groups of the login is suspended, and stays so on coming back until
"suspended" is false. A user name that is taken by somebody else is refused and never
merged. What is wrong with one user holds up no other; the command then ends with an error.`

// newSyncCommand returns the command `userkeys user sync`.
func newSyncCommand(o *sitedata.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "sync FILE", Short: "Create, change and suspend users as a website tells of its own",
		Long: syncLong, Args: cobra.ExactArgs(1), RunE: o.With(syncUsers),
	}
	cli.AddJSONFlag(cmd)
	return cmd
}

func syncUsers(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	text, err := cli.ReadFile(args[0], cmd.InOrStdin())
	if err != nil {
		return err
	}
	s, err := sso.ParseSync(text)
	if err != nil {
		return err
	}
	logins, err := sso.Open(cmd.Context(), sso.Config{
		Logins: d.Logins, Accounts: d.Identity, Store: d.Store,
		BaseURL: new(url.URL), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	outcomes, err := logins.Sync(cmd.Context(), s, sitedata.Operator)
	if err != nil {
		return err
	}
	row := rows.NewSync(outcomes)
	if cli.JSON(cmd) {
		err = cli.WriteJSON(cmd.OutOrStdout(), row)
	} else {
		for _, o := range outcomes {
			if o.Error != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", o.ExternalID, o.Error)
			}
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d created, %d changed, %d unchanged, %d refused\n",
			row.Created, row.Changed, row.Unchanged, row.Refused)
	}
	if err == nil && row.Refused > 0 {
		err = fmt.Errorf("%d of %d users were refused", row.Refused, len(outcomes))
	}
	return err
}
