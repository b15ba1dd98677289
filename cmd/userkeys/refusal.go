package main

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
)

// siteError says what a failed call means, and picks the exit code.
func siteError(k *client.Credential, err error) error {
	var api *client.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api):
		return refusal(k, api)
	case errors.Is(err, context.DeadlineExceeded):
		return exitf(exitUnreachable, "no answer from %s in time; is it running?", k.Site)
	case errors.Is(err, context.Canceled):
		return exitf(exitFailure, "interrupted")
	}
	return exitf(exitUnreachable, "cannot reach %s: %s; is the address right, and is the site running?", k.Site, rootCause(err))
}

// rootCause is the innermost text of a network error: "connection refused"
// says more than the chain around it.
func rootCause(err error) string {
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
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func refusal(k *client.Credential, e *client.APIError) *exitError {
	said := e.Reason
	if said == "" {
		said = strings.Join(e.Messages, "; ")
	}
	if said == "" {
		said = strings.ToLower(http.StatusText(e.Status))
	}
	code, help := refusalHelp(k, e)
	return exitf(code, "%d: %s; %s", e.Status, said, help)
}

func refusalHelp(k *client.Credential, e *client.APIError) (int, string) {
	scope, missing := strings.CutPrefix(e.Reason, "missing scope: ")
	switch {
	case e.Status == http.StatusForbidden && e.Reason == "invalid key":
		return exitForbidden, "the key was revoked or has expired; get a new one: userkeys login " + k.Site
	case e.Status == http.StatusForbidden && missing:
		return exitForbidden, fmt.Sprintf("ask for it: userkeys login %s --scopes %s (an administrator of the site may have to allow it first)", k.Site, withScope(k.Scopes, scope))
	case e.Status == http.StatusForbidden:
		return exitForbidden, fmt.Sprintf("the key may be revoked, lack a scope (it has %s), or its owner may not do this; what it is: userkeys doctor %s", k.Scopes, k.Site)
	case e.Status == http.StatusTooManyRequests && e.DayLimit() && e.RetryAfter > 0:
		return exitLimited, fmt.Sprintf("the day's calls are used up; again at %s (in %v)", time.Now().Add(e.RetryAfter).Format("2006-01-02 15:04"), e.RetryAfter)
	case e.Status == http.StatusTooManyRequests && e.RetryAfter > 0:
		return exitLimited, fmt.Sprintf("try again in %v", e.RetryAfter)
	case e.Status == http.StatusTooManyRequests:
		return exitLimited, "try again in a minute"
	case e.Status == http.StatusNotFound:
		return exitRefused, "is the path right?"
	case e.Status >= 500 && e.RetryAfter > 0:
		return exitServer, fmt.Sprintf("the trouble is the site's; try again in %v", e.RetryAfter)
	case e.Status >= 500:
		return exitServer, "the trouble is the site's; try again later"
	case e.Status >= 400:
		return exitRefused, "the site does not take this request; compare it with the site's API"
	}
	return exitFailure, "this is no answer of an API; is the path right?"
}

// withScope is the scopes and one more.
func withScope(scopes userkeys.Scopes, more string) userkeys.Scopes {
	if scopes.Has(more) {
		return scopes
	}
	return append(slices.Clone(scopes), more)
}
