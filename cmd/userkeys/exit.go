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

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/client"
)

// The exit codes of commands that call a site, for scripts. 1 is any other
// failure, 2 a command line that was not understood.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitUnapproved  = 3 // the person refused, or did not answer in time
	exitForbidden   = 4 // 403
	exitLimited     = 5 // 429
	exitRefused     = 6 // any other 4xx
	exitServer      = 7 // 5xx
	exitUnreachable = 8 // no answer
)

// An exitError ends the program with a code of its own. Its text is one line
// for the person: what is wrong and what would help. main prints it.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

// ExitCode is what the program ends with.
func (e *exitError) ExitCode() int { return e.code }

func exitf(code int, format string, args ...any) *exitError {
	return &exitError{code: code, text: fmt.Sprintf(format, args...)}
}

// understand makes cmd end with [exitUsage] where its command line is not
// understood, and says how to learn more.
func understand(cmd *cobra.Command, args int) {
	cmd.SetFlagErrorFunc(misunderstood)
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if len(given) != args {
			return misunderstood(cmd, fmt.Errorf("usage: %s", cmd.UseLine()))
		}
		return nil
	}
}

// understandAll makes every command below root end with [exitUsage] where its
// command line is not understood. A command that only has others under it shows
// its help, and refuses a name that none of them has.
func understandAll(root *cobra.Command) {
	root.SetFlagErrorFunc(misunderstood)
	commands := []*cobra.Command{root}
	for len(commands) > 0 {
		c := commands[0]
		commands = append(commands[1:], c.Commands()...)
		if !c.Runnable() {
			c.Args, c.DisableFlagsInUseLine = cobra.NoArgs, true
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
		check := c.Args
		if check == nil {
			continue
		}
		c.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			var said *exitError
			switch {
			case err == nil || errors.As(err, &said):
				return err
			case !cmd.HasSubCommands():
				err = fmt.Errorf("usage: %s", cmd.UseLine())
			}
			return misunderstood(cmd, err)
		}
	}
}

func misunderstood(cmd *cobra.Command, err error) error {
	return exitf(exitUsage, "%v; see %s --help", err, cmd.CommandPath())
}

// publicText is what a person may read of err: of ours only the public part.
func publicText(err error) string {
	var e *userkeys.Error
	if errors.As(err, &e) && e.Public != "" {
		return e.Public
	}
	return err.Error()
}

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
