package sitecmd

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"userkeys/internal/accounts"
	"userkeys/internal/sso"
	"userkeys/internal/wiring"
	"userkeys/site"
)

// printSetupLink prints how to make the first administrator, while there is none. It prints a link if there are no
// users or --setup-link asks for one. Otherwise it names commands only, because the readers of the output may be some
// of those users.
func printSetupLink(cmd *cobra.Command, s *wiring.Site, cfg wiring.Config, asked bool) error {
	if cfg.NoPasswords {
		return printNoAdministrator(cmd, s.Identity, cfg.Logins)
	}
	text, err := setupText(cmd.Context(), s.Identity, cfg.BaseURL, asked)
	if err != nil {
		return err
	}
	_, err = io.WriteString(cmd.OutOrStdout(), text)
	return err
}

// printNoAdministrator says how to make the first administrator where nobody has a password here.
func printNoAdministrator(cmd *cobra.Command, ac *accounts.Accounts, logins []sso.Login) error {
	has, err := ac.HasAdministrator(cmd.Context())
	if err != nil || has {
		return err
	}
	text := "This site has no administrator. Sign in once, and make yourself one with\n\n" +
		"    userkeys user set NAME --admin\n\nor by a [[login.rule]] with admin = true in the configuration file.\n\n"
	if slices.ContainsFunc(logins, makesAdministrators) {
		text = "This site has no administrator yet. Sign in as somebody whom a [[login.rule]] makes one.\n\n"
	}
	_, err = io.WriteString(cmd.OutOrStdout(), text)
	return err
}

func makesAdministrators(l sso.Login) bool {
	return slices.ContainsFunc(l.Rules.Rules, func(r sso.Rule) bool { return r.Admin })
}

func setupText(ctx context.Context, ac *accounts.Accounts, base *url.URL, asked bool) (string, error) {
	has, err := ac.HasAdministrator(ctx)
	if err != nil || has {
		if has && asked {
			return "This site has an administrator already; there is no setup link.\n", nil
		}
		return "", err
	}
	users, err := ac.FindUsers(ctx, site.UserFilter{Limit: 1})
	if err != nil {
		return "", err
	}
	missing := "There are no users yet."
	if len(users) > 0 {
		missing = "This site has no administrator."
		if !asked {
			return missing + " Make one of its users an administrator with\n\n    userkeys user set NAME --admin\n\n" +
				"or start with userkeys serve --setup-link for a link that makes one.\n\n", nil
		}
	}
	token, needed, err := ac.SetupToken(ctx)
	if err != nil || !needed { // not needed: another process made one meanwhile
		return "", err
	}
	link := *base
	link.Path, link.RawQuery = "/user-api-key/setup", url.Values{"token": {token}}.Encode()
	return fmt.Sprintf("%s Make the first administrator with this link, good once and for a day:\n\n    %s\n\n",
		missing, &link), nil
}
