package keycmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
)

// explain returns what a failed login means, in one line.
func (l *login) explain(site string, err error) error {
	asked := &client.Credential{Site: site}
	var api *client.APIError
	switch {
	case errors.Is(err, context.DeadlineExceeded) && l.asked == "":
		return appkeys.SiteError(asked, err)
	case errors.Is(err, context.DeadlineExceeded):
		return cli.Exitf(cli.ExitUnapproved,
			"nobody approved within %v (sites do not tell when a person says no); run the command again", l.timeout)
	case errors.Is(err, context.Canceled) && l.asked == client.FlowDevice:
		return cli.Exitf(cli.ExitFailure, "interrupted; nothing was stored (a key that was approved just now stands "+
			"unused on your apps page until the next login replaces it)")
	case errors.Is(err, context.Canceled):
		return cli.Exitf(cli.ExitFailure, "interrupted; nothing was stored")
	case errors.Is(err, client.ErrDenied), errors.Is(err, client.ErrCodeExpired), errors.Is(err, client.ErrAnswerLost):
		return cli.Exitf(cli.ExitUnapproved, "%s", cli.Public(err))
	case errors.Is(err, userkeys.ScopeNotAllowed), errors.Is(err, userkeys.RedirectNotAllowed),
		errors.Is(err, userkeys.KeysNotAllowed), errors.Is(err, userkeys.UserNotAllowed):
		return cli.Exitf(cli.ExitForbidden, "%s", cli.Public(err))
	case errors.As(err, &api) && api.Status == 403:
		return cli.Exitf(cli.ExitForbidden,
			"%s does not put this request to its users: %s; what it is: userkeys doctor %s",
			site, strings.Join(api.Messages, " "), site)
	case errors.As(err, &api), errors.Is(err, userkeys.Unavailable):
		return appkeys.SiteError(asked, err)
	case l.asked == client.FlowPaste && len(l.old) > 0 && errors.Is(err, userkeys.InvalidParameters):
		return cli.Exitf(cli.ExitFailure,
			"%s; if you approved, the site has replaced the key that is stored here: log in again", cli.Public(err))
	case errors.Is(err, userkeys.InvalidAccess) && !errors.Is(err, client.ErrWrongNonce):
		return cli.Exitf(cli.ExitForbidden, "%s; which it is: userkeys doctor %s", cli.Public(err), site)
	}
	return cli.Exitf(cli.ExitFailure, "%s", cli.Public(err))
}

func (l *login) report(ctx context.Context, c *client.Credential) error {
	if l.asJSON {
		enc := json.NewEncoder(l.out)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			*client.Credential
			File string `json:"file"`
		}{c, l.keys.Path()})
	}
	who := ""
	if c.Username != "" {
		who = " as " + c.Username
	}
	fmt.Fprintf(l.out, "Logged in to %s%s. The key may: %s.\n", c.Site, who, c.Scopes)
	if !c.ExpiresAt.IsZero() {
		fmt.Fprintf(l.out, "It ends at %s.\n", c.ExpiresAt.Format(time.RFC3339))
	}
	fmt.Fprintf(l.out, "It is kept in %s. %s\n", l.keys.Path(), l.suggestion(ctx, c))
	return nil
}

// suggestion returns what to do next, which was tried: the session when the site was asked for the name of the key's
// user, and so not again.
func (l *login) suggestion(ctx context.Context, c *client.Credential) string {
	const session, notifications = "/session/current.json", "/notifications.json"
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tried := false
	for _, path := range []string{session, notifications} {
		if l.support.MissingScope(c.Scopes, http.MethodGet, path) != "" {
			continue
		}
		var answer map[string]json.RawMessage
		if path == session && l.named || path != session && c.Get(ctx, nil, path, &answer) == nil {
			return "Try: userkeys call GET " + path + " --site " + c.Site
		}
		tried = true
	}
	if !tried {
		return "What it works for: userkeys doctor " + c.Site
	}
	return "The site did not answer what apps ask first; why: userkeys doctor " + c.Site
}
