package people

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

	"userkeys/internal/accounts"
	"userkeys/internal/cli"
	"userkeys/internal/password"
	"userkeys/internal/rows"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/site"
)

// users are the commands `userkeys user`.
type users struct {
	options       sitedata.Options
	passwordStdin bool
	flags         site.User // what flags say of the user
}

func newUserCommand() *cobra.Command {
	c := &users{}
	cmd := &cobra.Command{
		Use: "user", Short: "Add, list and change the site's own accounts",
		Long: `Add, list and change the site's own accounts. A change takes effect on a running
site within a second. The sessions of a suspended user end, and their keys are
refused.`,
		Example: `  echo 'correct horse battery' | userkeys user add alice --password-stdin --trust-level 1
  userkeys user set alice --moderator --groups editors,translators
  userkeys user suspend alice`,
	}
	c.options.AddFlags(cmd.PersistentFlags())
	add := &cobra.Command{Use: "add NAME", Short: "Add a user", Args: cobra.ExactArgs(1), RunE: c.options.With(c.add)}
	c.addFlags(add.Flags())
	c.options.AddInitFlag(add.Flags())
	list := &cobra.Command{Use: "list", Short: "List users", Args: cobra.NoArgs, RunE: c.options.With(userList)}
	cli.AddJSONFlag(list)
	set := &cobra.Command{
		Use: "set NAME", Short: "Change a user; values that are not given stay", Args: cobra.ExactArgs(1),
		RunE: c.options.With(c.set),
		Long: `Change a user. Values that are not given stay as they are. A new password also
unlocks an account that was locked after too many wrong passwords.`,
	}
	c.addFlags(set.Flags())
	cmd.AddCommand(add, list, set, newSyncCommand(&c.options), newShowCommand(&c.options),
		newSignInLinkCommand(&c.options), newLinkCommand(&c.options), newUnlinkCommand(&c.options),
		c.verb("suspend", "Suspend a user, who then cannot log in and whose keys are refused", "suspended",
			func(ctx context.Context, m *accounts.Accounts, id int64) error {
				_, err := m.Suspend(ctx, id, sitedata.Operator)
				return err
			}),
		c.verb("unsuspend", "End the suspension of a user, whose keys then work again", "no longer suspended",
			func(ctx context.Context, m *accounts.Accounts, id int64) error {
				_, err := m.Unsuspend(ctx, id, sitedata.Operator)
				return err
			}),
		c.verb("delete", "Delete a user and the user's keys and sessions", "deleted",
			func(ctx context.Context, m *accounts.Accounts, id int64) error {
				return m.Delete(ctx, id, sitedata.Operator)
			}))
	return cmd
}

func (c *users) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&c.passwordStdin, "password-stdin", false, "read the password from the first line of standard input")
	f.IntVar(&c.flags.TrustLevel, "trust-level", 1, "trust level, 0 to 4")
	f.BoolVar(&c.flags.Admin, "admin", false, "the user is an administrator")
	f.BoolVar(&c.flags.Moderator, "moderator", false, "the user is a moderator")
	f.StringSliceVar(&c.flags.Groups, "groups", nil, "groups, separated by commas")
	f.StringVar(&c.flags.Email, "email", "", "e-mail address, with which the user can also log in")
	f.StringVar(&c.flags.Name, "full-name", "", "full name")
	f.BoolVar(&c.flags.Active, "active", true, "the user may sign in and use keys")
}

// apply sets the fields of u whose flags were given.
func (c *users) apply(f *pflag.FlagSet, u *site.User) {
	f.Visit(func(fl *pflag.Flag) {
		switch fl.Name {
		case "trust-level":
			u.TrustLevel = c.flags.TrustLevel
		case "admin":
			u.Admin = c.flags.Admin
		case "moderator":
			u.Moderator = c.flags.Moderator
		case "groups":
			u.Groups = c.flags.Groups
		case "email":
			u.Email = c.flags.Email
		case "full-name":
			u.Name = c.flags.Name
		case "active":
			u.Active = c.flags.Active
		}
	})
}

// password reads the password from in if --password-stdin is set.
func (c *users) password(in io.Reader) (string, error) {
	if !c.passwordStdin {
		return "", nil
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if line = strings.TrimRight(cli.WithoutBOM(line), "\r\n"); line == "" {
		return "", errors.New("--password-stdin: standard input has no password")
	}
	return line, nil
}

// warnWeak warns about a weak password, which an administrator may set.
func warnWeak(cmd *cobra.Command, secret string, u site.User) {
	if err := password.Check(secret, u); err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+cli.Explain(err)+"; it was set all the same")
	}
}

func (c *users) add(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	secret, err := c.password(cmd.InOrStdin())
	if err != nil {
		return err
	}
	u := c.flags
	made, err := d.Identity.Create(cmd.Context(), accounts.NewUser{
		Username: args[0], Name: u.Name, Email: u.Email, TrustLevel: u.TrustLevel, Admin: u.Admin,
		Moderator: u.Moderator, Inactive: !u.Active, Groups: u.Groups, Password: secret,
	}, sitedata.Operator)
	if err != nil {
		return err
	}
	if secret != "" {
		warnWeak(cmd, secret, made)
	} else {
		fmt.Fprintf(cmd.ErrOrStderr(),
			"%s has no password and cannot sign in; give one with: userkeys user set %s --password-stdin\n",
			made.Username, made.Username)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "added %s (id %d)\n", made.Username, made.ID)
	return err
}

func (c *users) set(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	u, err := d.Identity.FindUser(cmd.Context(), args[0])
	if err != nil {
		return err
	}
	secret, err := c.password(cmd.InOrStdin())
	if err != nil {
		return err
	}
	apply := func(u *site.User) { c.apply(cmd.Flags(), u) }
	if _, err := d.Identity.Update(cmd.Context(), u.ID, apply, sitedata.Operator); err != nil {
		return err
	}
	if c.passwordStdin {
		if err := d.Identity.SetPassword(cmd.Context(), u.ID, secret, sitedata.Operator); err != nil {
			return err
		}
		warnWeak(cmd, secret, u)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "changed %s\n", u.Username)
	return err
}

// verb returns a command that does one thing to one user.
func (c *users) verb(name, short, done string,
	do func(context.Context, *accounts.Accounts, int64) error,
) *cobra.Command {
	return &cobra.Command{
		Use: name + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: c.options.With(func(cmd *cobra.Command, d *sitedata.Data, args []string) error {
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
	found, err := sitedata.Every(func(after int64) ([]site.User, error) {
		return d.Identity.FindUsers(cmd.Context(), site.UserFilter{After: after, Limit: 500})
	}, func(u site.User) int64 { return u.ID })
	if err != nil {
		return err
	}
	list := make([]rows.User, len(found))
	for i, u := range found {
		list[i] = rows.NewUser(u)
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
		strconv.FormatInt(u.ID, 10), u.Username, strconv.Itoa(u.TrustLevel), role, strings.Join(u.Groups, ","), state,
	}
}
