package appkeys

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/cli"
	"userkeys/internal/outward"
)

// SiteError returns the error of a failed call with what it means and its exit code.
func SiteError(k *client.Credential, err error) error {
	var api *client.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api):
		return refusal(k, api)
	case errors.Is(err, context.DeadlineExceeded):
		return cli.Exitf(cli.ExitUnreachable, "no answer from %s in time; is it running?", k.Site)
	case errors.Is(err, context.Canceled):
		return cli.Exitf(cli.ExitFailure, "interrupted")
	}
	return cli.Exitf(cli.ExitUnreachable, "cannot reach %s: %s; is the address right, and is the site running?",
		k.Site, RootCause(err))
}

// RootCause says in a few words why a request, or the use of a file, failed.
func RootCause(err error) string {
	var e *userkeys.Error
	if errors.As(err, &e) && e.Err != nil {
		err = e.Err
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "there is no host " + dns.Name
	case errors.Is(err, http.ErrSchemeMismatch):
		return "it speaks plain http; write http:// before the address"
	}
	return outward.Innermost(err)
}

func refusal(k *client.Credential, e *client.APIError) *cli.Error {
	said := e.Reason
	if said == "" {
		said = strings.Join(e.Messages, "; ")
	}
	if said == "" {
		said = strings.ToLower(http.StatusText(e.Status))
	}
	code, help := refusalHelp(k, e)
	return cli.Exitf(code, "%d: %s; %s", e.Status, said, help)
}

func refusalHelp(k *client.Credential, e *client.APIError) (int, string) {
	scope, missing := strings.CutPrefix(e.Reason, "missing scope: ")
	switch {
	case e.AsksPassword:
		return cli.ExitRefused, "a web server before the site, or the website itself, asks for a password of its own; " +
			"this says nothing about the key. Who runs it must let requests with the header User-Api-Key, and those to " +
			"/user-api-key and /.well-known/user-api-key, pass without one"
	case e.Status == http.StatusForbidden && e.Reason == "invalid key":
		return cli.ExitForbidden, "the key was revoked or has expired; get a new one: userkeys login " + k.Site
	case e.Status == http.StatusForbidden && e.Reason == userkeys.ErrOwnerGone.Reason:
		return cli.ExitForbidden, "the key waits for you: sign in once at " + k.Site + ", and it works again"
	case e.Status == http.StatusForbidden && missing:
		return cli.ExitForbidden, fmt.Sprintf("ask for it: userkeys login %s --scopes %s "+
			"(an administrator of the site may have to allow it first)", k.Site, WithScope(k.Scopes, scope))
	case e.Status == http.StatusForbidden:
		return cli.ExitForbidden, fmt.Sprintf("the key may be revoked, lack a scope (it has %s), or its owner may "+
			"not do this; what it is: userkeys doctor %s", k.Scopes, k.Site)
	case e.Status == http.StatusTooManyRequests && e.DayLimit() && e.RetryAfter > 0:
		return cli.ExitLimited, fmt.Sprintf("the day's calls are used up; again at %s (in %v)",
			time.Now().Add(e.RetryAfter).Format("2006-01-02 15:04"), e.RetryAfter)
	case e.Status == http.StatusTooManyRequests && e.RetryAfter > 0:
		return cli.ExitLimited, fmt.Sprintf("try again in %v", e.RetryAfter)
	case e.Status == http.StatusTooManyRequests:
		return cli.ExitLimited, "try again in a minute"
	case e.Status == http.StatusNotFound:
		return cli.ExitRefused, "is the path right?"
	case e.Status >= 500 && e.RetryAfter > 0:
		return cli.ExitServer, fmt.Sprintf("the trouble is the site's; try again in %v", e.RetryAfter)
	case e.Status >= 500:
		return cli.ExitServer, "the trouble is the site's; try again later"
	case e.Status >= 400:
		return cli.ExitRefused, "the site does not take this request; compare it with the site's API"
	}
	return cli.ExitFailure, "this is no answer of an API; is the path right?"
}

// WithScope returns scopes with one more.
func WithScope(scopes userkeys.Scopes, more string) userkeys.Scopes {
	if scopes.Has(more) {
		return scopes
	}
	return append(slices.Clone(scopes), more)
}
