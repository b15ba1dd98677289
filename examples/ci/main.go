// Ci posts a message to a site from an unattended job:
//
//	USERKEYS_SITE=https://forum.example USERKEYS_KEY=... ci "Build 17 is green"
//
// USERKEYS_TOPIC is the number of the topic to reply in, if the site requires one. Without USERKEYS_KEY it prints
// a code for somebody to approve, and revokes the key that it gets after it has posted.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
)

// The exit codes.
const (
	exitDone    = 0
	exitFailed  = 1 // the message was not posted
	exitUsage   = 2
	exitNoKey   = 3 // there is no key, or it was revoked or has expired
	exitScope   = 4 // the key lacks the scope write, or the site does not allow it
	exitLimit   = 5 // too many requests; the message was not posted
	exitUnknown = 6 // the message may have been posted: look before you run the job again
)

func main() {
	code, err := run(context.Background(), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "ci:", err)
	}
	os.Exit(code)
}

func run(ctx context.Context, args []string) (int, error) {
	site, err := client.ParseSite(os.Getenv("USERKEYS_SITE"))
	switch {
	case err != nil:
		return exitUsage, fmt.Errorf("USERKEYS_SITE: %w", err)
	case client.PlainHTTP(site):
		return exitUsage, errors.New("USERKEYS_SITE: over plain http others would read the key; use https")
	case len(args) != 1 || strings.TrimSpace(args[0]) == "":
		return exitUsage, errors.New(`usage: ci "the message"`)
	}
	if given := os.Getenv("USERKEYS_KEY"); given != "" {
		key, err := client.ParseKey(given)
		if err != nil {
			return exitNoKey, fmt.Errorf("USERKEYS_KEY: %w", err)
		}
		return post(ctx, &client.Credential{Site: site, Key: key, Scopes: userkeys.Scopes{"write"}}, args[0])
	}
	c, err := ask(ctx, site)
	switch {
	case errors.Is(err, userkeys.RateLimited):
		return exitLimit, err
	case errors.Is(err, userkeys.ScopeNotAllowed):
		return exitScope, err
	case err != nil:
		return exitNoKey, err
	}
	code, err := post(ctx, c, args[0])
	if said := c.Revoke(ctx, nil); !ended(said) {
		err = errors.Join(err, fmt.Errorf("the key may go on for an hour; revoke it on the site: %w", said))
	}
	return code, err
}

// ended reports whether the key is of no use any more, by the error of Revoke: it was revoked now, or had ended
// before. A 403 alone does not say so, because firewalls answer it too.
func ended(err error) bool {
	var refused *client.APIError
	return err == nil || errors.As(err, &refused) && refused.Worthless()
}

// ask gets a key for this run. The key expires after an hour even if this program is killed before.
func ask(ctx context.Context, site string) (*client.Credential, error) {
	return client.Login(ctx, client.Options{
		Request: client.Request{
			Site: site, ApplicationName: "CI job", ClientID: client.RandomID(),
			Scopes: userkeys.Scopes{"write"}, ExpiresIn: time.Hour,
		},
		ShowCode: func(_ context.Context, d *client.DeviceAuthorization) error {
			_, err := fmt.Fprintf(os.Stderr, "There is no USERKEYS_KEY. Within %v open %s and type %s\n", d.ExpiresIn,
				d.VerificationURI, d.UserCode)
			return err
		},
	})
}

// post sends the message once. The client repeats it only if the site has refused it because of a rate limit.
func post(ctx context.Context, c *client.Credential, message string) (int, error) {
	form := url.Values{"raw": {message}}
	if topic := os.Getenv("USERKEYS_TOPIC"); topic != "" {
		form.Set("topic_id", topic)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Site+"/posts.json", strings.NewReader(form.Encode()))
	if err != nil {
		return exitUsage, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var made struct {
		ID int64 `json:"id"` // 0 if a moderator has to approve the message first
	}
	if err := c.Diagnose(ctx, nil, client.Do(c.Client(nil), req, &made)); err != nil {
		return outcome(err)
	}
	fmt.Println("posted", made.ID)
	return exitDone, nil
}

// outcome returns the exit code for err: it tells failures after which nothing was posted from those after which
// the message may have been posted.
func outcome(err error) (int, error) {
	var refused *client.APIError
	var network *net.OpError
	switch {
	case errors.As(err, &refused) && refused.KeyIsDead():
		return exitNoKey, err
	case refused != nil && refused.MissingScope() != "":
		return exitScope, err
	case errors.Is(err, userkeys.RateLimited):
		return exitLimit, err
	case refused != nil && refused.Status < 500, errors.As(err, &network) && network.Op == "dial":
		return exitFailed, err
	}
	return exitUnknown, fmt.Errorf("look whether the message was posted before you try again: %w", err)
}
