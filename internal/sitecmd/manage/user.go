package manage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"userkeys/internal/cli"
	"userkeys/internal/identity"
	"userkeys/internal/rows"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/site"
)

func newUserCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "user", Short: "Add, list and change the site's own accounts",
		Long: `Add, list and change the site's own accounts. A change is in force on a running
site within a second: a suspended user's keys and sessions end.`,
		Example: `  echo 'correct horse battery' | userkeys user add alice --password-stdin --trust-level 1
  userkeys user set alice --moderator --groups editors,translators
  userkeys user suspend alice`,
	}
	sitedata.AddFlags(cmd.PersistentFlags())
	add := &cobra.Command{Use: "add NAME", Short: "Add a user", Args: cobra.ExactArgs(1), RunE: sitedata.With(userAdd)}
	addUserFlags(add.Flags())
	sitedata.AddInitFlag(add.Flags())
	list := &cobra.Command{Use: "list", Short: "List users", Args: cobra.NoArgs, RunE: sitedata.With(userList)}
	cli.AddJSONFlag(list)
	set := &cobra.Command{
		Use: "set NAME", Short: "Change a user: what is not named stays", Args: cobra.ExactArgs(1),
		RunE: sitedata.With(userSet),
		Long: `Change a user: what is not named stays. A new password also lifts the lock that
too many wrong ones put on an account.`,
	}
	addUserFlags(set.Flags())
	cmd.AddCommand(add, list, set,
		userVerb("suspend", "Suspend a user: no login, and every key refused", "suspended",
			func(ctx context.Context, m *identity.Accounts, id int64) error {
				_, err := m.Suspend(ctx, id, sitedata.Actor)
				return err
			}),
		userVerb("unsuspend", "End a suspension: the user's keys work again", "no longer suspended",
			func(ctx context.Context, m *identity.Accounts, id int64) error {
				_, err := m.Unsuspend(ctx, id, sitedata.Actor)
				return err
			}),
		userVerb("delete", "Delete a user with their keys and sessions", "deleted",
			func(ctx context.Context, m *identity.Accounts, id int64) error {
				return m.Delete(ctx, id, sitedata.Actor)
			}))
	return cmd
}

func addUserFlags(f *pflag.FlagSet) {
	f.Bool("password-stdin", false, "read the password from standard input, one line")
	f.Int("trust-level", 1, "0 to 4")
	f.Bool("admin", false, "administrator")
	f.Bool("moderator", false, "moderator")
	f.StringSlice("groups", nil, "groups, a,b")
	f.String("email", "", "e-mail address; may be used to log in")
	f.String("full-name", "", "full name")
	f.Bool("active", true, "may sign in and use keys")
}

// userFlags applies the flags that were given to u.
func userFlags(f *pflag.FlagSet, u *site.User) error {
	var failed error
	f.Visit(func(fl *pflag.Flag) {
		var err error
		switch fl.Name {
		case "trust-level":
			u.TrustLevel, err = f.GetInt(fl.Name)
		case "admin":
			u.Admin, err = f.GetBool(fl.Name)
		case "moderator":
			u.Moderator, err = f.GetBool(fl.Name)
		case "groups":
			u.Groups, err = f.GetStringSlice(fl.Name)
		case "email":
			u.Email, err = f.GetString(fl.Name)
		case "full-name":
			u.Name, err = f.GetString(fl.Name)
		case "active":
			u.Active, err = f.GetBool(fl.Name)
		}
		failed = errors.Join(failed, err)
	})
	return failed
}

// password reads the password from standard input if that was asked for.
func password(cmd *cobra.Command) (text string, given bool, err error) {
	if given, err = cmd.Flags().GetBool("password-stdin"); err != nil || !given {
		return "", given, err
	}
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", true, err
	}
	if line = strings.TrimRight(cli.WithoutBOM(line), "\r\n"); line == "" {
		return "", true, errors.New("--password-stdin: standard input has no password")
	}
	return line, true, nil
}

// warnWeak says what an administrator may do and should not.
func warnWeak(cmd *cobra.Command, password string, u site.User) {
	if err := identity.CheckPassword(password, u); err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+cli.Explain(err)+"; it was set all the same")
	}
}

func userAdd(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	secret, _, err := password(cmd)
	if err != nil {
		return err
	}
	u := site.User{TrustLevel: 1, Active: true}
	if err := userFlags(cmd.Flags(), &u); err != nil {
		return err
	}
	made, err := d.Identity.Create(cmd.Context(), identity.NewUser{
		Username: args[0], Name: u.Name, Email: u.Email, TrustLevel: u.TrustLevel, Admin: u.Admin,
		Moderator: u.Moderator, Inactive: !u.Active, Groups: u.Groups, Password: secret,
	}, sitedata.Actor)
	if err != nil {
		return err
	}
	if secret != "" {
		warnWeak(cmd, secret, made)
	} else {
		fmt.Fprintf(cmd.ErrOrStderr(),
			"%s has no password and cannot sign in; give one with: userkeys user set %s --password-stdin\n", made.Username, made.Username)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "added %s (id %d)\n", made.Username, made.ID)
	return err
}

func userSet(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	u, err := d.Identity.FindUser(cmd.Context(), args[0])
	if err != nil {
		return err
	}
	secret, given, err := password(cmd)
	if err != nil {
		return err
	}
	var flagErr error
	_, err = d.Identity.Update(cmd.Context(), u.ID, func(u *site.User) { flagErr = userFlags(cmd.Flags(), u) },
		sitedata.Actor)
	if err = errors.Join(flagErr, err); err != nil {
		return err
	}
	if given {
		if err := d.Identity.SetPassword(cmd.Context(), u.ID, secret, sitedata.Actor); err != nil {
			return err
		}
		warnWeak(cmd, secret, u)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "changed %s\n", u.Username)
	return err
}

// userVerb makes a command that does one thing to one user.
func userVerb(name, short, done string, do func(context.Context, *identity.Accounts, int64) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: sitedata.With(func(cmd *cobra.Command, d *sitedata.Data, args []string) error {
			u, err := d.Identity.FindUser(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := do(cmd.Context(), d.Identity, u.ID); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is %s\n", u.Username, done)
			return err
		}),
	}
}

func userList(cmd *cobra.Command, d *sitedata.Data, _ []string) error {
	const page = 500
	var list []rows.User
	for after := int64(0); ; {
		users, err := d.Identity.FindUsers(cmd.Context(), site.UserFilter{After: after, Limit: page})
		if err != nil {
			return err
		}
		for _, u := range users {
			list = append(list, rows.NewUser(u))
			after = u.ID
		}
		if len(users) < page {
			break
		}
	}
	return cli.Listing(cmd, list, "ID,NAME,LEVEL,ROLE,GROUPS,STATE", userCells)
}

func userCells(u rows.User) []string {
	role, state := "user", "active"
	switch {
	case u.Admin:
		role = "administrator"
	case u.Moderator:
		role = "moderator"
	}
	switch {
	case u.SuspendedAt != nil:
		state = "suspended"
	case !u.Active:
		state = "inactive"
	}
	return []string{
		strconv.FormatInt(u.ID, 10), u.Username, strconv.Itoa(u.TrustLevel), role,
		strings.Join(u.Groups, ","), state,
	}
}
