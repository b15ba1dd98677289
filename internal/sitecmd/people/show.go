package people

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"userkeys/internal/accounts"
	"userkeys/internal/cli"
	"userkeys/internal/rows"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/site"
)

func newShowCommand(o *sitedata.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a user, their sessions and where they sign in from", Args: cobra.ExactArgs(1),
		RunE: o.With(showUser),
	}
	cli.AddJSONFlag(cmd)
	return cmd
}

// shownUser is a user with what belongs to their account.
type shownUser struct {
	rows.User
	Identities []rows.Identity `json:"identities"`
	Sessions   []rows.Session  `json:"sessions"`
}

func showUser(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	ctx := cmd.Context()
	u, err := d.Identity.FindUser(ctx, args[0])
	if err != nil {
		return err
	}
	own := accounts.OwnOf(d.Identity)
	identities, err := own.Identities(ctx, u.ID)
	if err != nil {
		return err
	}
	sessions, err := own.UserSessions(ctx, u.ID)
	if err != nil {
		return err
	}
	row := shownUser{rows.NewUser(u), rows.NewIdentities(identities), rows.NewSessions(sessions, "")}
	if cli.JSON(cmd) {
		return cli.WriteJSON(cmd.OutOrStdout(), row)
	}
	cells := userCells(row.User)
	table := [][]string{
		{"id", strconv.FormatInt(u.ID, 10)},
		{"name", u.Username},
		{"full name", cli.OrDash(u.Name)},
		{"e-mail", cli.OrDash(u.Email)},
		{"trust level", strconv.Itoa(u.TrustLevel)},
		{"role", cells[3]},
		{"groups", cli.OrDash(strings.Join(u.Groups, ", "))},
		{"state", cells[5]},
		{"last seen", cli.TimeCell(row.LastSeenAt)},
		{"external id", cli.OrDash(u.ExternalID)},
	}
	for _, id := range row.Identities {
		table = append(table, []string{
			"identity", fmt.Sprintf("%s at %s, last sign-in %s", id.Subject, id.Issuer, cli.TimeCell(id.SignedInAt)),
		})
	}
	for _, s := range row.Sessions {
		table = append(table, []string{"session", fmt.Sprintf("%s at %s%s, signed in %s, last seen %s",
			s.Device, cli.OrDash(s.Address), through(s), cli.TimeCell(s.BeganAt), cli.TimeCell(s.SeenAt))})
	}
	return cli.PrintTable(cmd.OutOrStdout(), table)
}

// through says how a session began, where that was not by a password.
func through(s rows.Session) string {
	switch {
	case s.App != "":
		return " by the app " + s.App
	case s.Login != "":
		return " through " + s.Login
	}
	return ""
}

func newSignInLinkCommand(o *sitedata.Options) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use: "sign-in-link NAME", Short: "Print a link that signs an administrator in, once, for ten minutes",
		Long: `Print a link that signs an administrator in without a password or a provider, for when
neither works. It is good once and for ten minutes, and takes the place of any before.`,
		Example: `  userkeys user sign-in-link alice --url https://keys.example`,
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&address, "url", "", "address at which browsers reach the site, such as https://keys.example")
	cmd.RunE = o.With(func(cmd *cobra.Command, d *sitedata.Data, args []string) error {
		link, err := url.Parse(address)
		if err != nil || link.Scheme != "http" && link.Scheme != "https" || link.Host == "" {
			return errors.New("give the site's address as browsers see it, such as --url https://keys.example")
		}
		u, err := d.Identity.FindUser(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		token, err := d.Identity.SignInLink(cmd.Context(), u.ID, sitedata.Operator)
		if err != nil {
			return err
		}
		link.Path, link.RawQuery = "/user-api-key/sign-in-link", url.Values{"token": {token}}.Encode()
		fmt.Fprintf(cmd.ErrOrStderr(), "This link signs in %s, once, within ten minutes. Keep it to yourself:\n", u.Username)
		_, err = fmt.Fprintln(cmd.OutOrStdout(), link)
		return err
	})
	return cmd
}

func newLinkCommand(o *sitedata.Options) *cobra.Command {
	return &cobra.Command{
		Use: "link NAME LOGIN SUBJECT", Short: "Let a user sign in through a provider that knows them as SUBJECT",
		Long: `Let a user sign in through a [[login]] of the configuration file. SUBJECT is what its provider calls
the user, and not their name: the claim sub of OpenID Connect, external_id of DiscourseConnect, the
value of the header of a proxy. Whoever has that account at the provider is then this user here.`,
		Example: `  userkeys user link alice forum 17 --config userkeys.toml`,
		Args:    cobra.ExactArgs(3),
		RunE: o.With(func(cmd *cobra.Command, d *sitedata.Data, args []string) error {
			id, err := identityOf(cmd, d, args)
			if err != nil {
				return err
			}
			if err := d.Store.LinkIdentity(cmd.Context(), id, sitedata.Operator.At(id.CreatedAt)); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is %s at %s\n", args[0], id.Subject, id.Issuer)
			return err
		}),
	}
}

func newUnlinkCommand(o *sitedata.Options) *cobra.Command {
	return &cobra.Command{
		Use: "unlink NAME LOGIN SUBJECT", Short: "Undo link: SUBJECT is not that user any more", Args: cobra.ExactArgs(3),
		Long: `Undo userkeys user link, or what a first sign-in did. The user's sessions end.`,
		RunE: o.With(func(cmd *cobra.Command, d *sitedata.Data, args []string) error {
			id, err := identityOf(cmd, d, args)
			if err != nil {
				return err
			}
			if err := d.Store.UnlinkIdentity(cmd.Context(), id, sitedata.Operator.At(id.CreatedAt)); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is not %s at %s any more\n", args[0], id.Subject, id.Issuer)
			return err
		}),
	}
}

// identityOf is the identity that NAME LOGIN SUBJECT name, made now.
func identityOf(cmd *cobra.Command, d *sitedata.Data, args []string) (site.Identity, error) {
	u, err := d.Identity.FindUser(cmd.Context(), args[0])
	if err != nil {
		return site.Identity{}, err
	}
	for _, l := range d.Logins {
		if l.Name == args[1] {
			return site.Identity{
				Issuer: l.Issuer, Subject: args[2], UserID: u.ID, CreatedAt: time.Now().UTC(),
			}, nil
		}
	}
	return site.Identity{}, fmt.Errorf("there is no [[login]] %s; name the configuration file with --config", args[1])
}
