package client

import (
	"context"
	"net/http"
	"slices"

	"userkeys"
)

// Options say how [Login] reaches the person.
type Options struct {
	// Request is what to ask for. AuthRedirect stays empty: Login fills it in.
	Request Request
	// OpenBrowser sends the person to address: opens a browser, prints it, or
	// both. An error ends the login, so what only failed to open may return nil
	// if the person has seen the address.
	OpenBrowser func(ctx context.Context, address string) error
	// ReadPaste, if set, chooses the paste flow, for browsers on other machines
	// and sites that allow no redirect: it returns what the person pastes.
	// complete tells whether the text read so far is all.
	ReadPaste func(ctx context.Context, complete func(text string) bool) (string, error)
	// HTTP makes the calls to the site; nil means a client of our own.
	HTTP *http.Client
}

// Login asks the person for a key and returns when they have approved, or with
// the error of ctx: a site does not tell an app that a person said no, so give
// ctx an end. Consent pages live for ten minutes.
func Login(ctx context.Context, o Options) (*Credential, error) {
	if o.OpenBrowser == nil {
		return nil, userkeys.Errorf(userkeys.MissingParameter, "login needs a way to send the person to an address")
	}
	if o.Request.AuthRedirect != "" {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "login chooses the redirect itself; use Begin for one of your own")
	}
	support, err := Probe(ctx, o.HTTP, o.Request.Site)
	if err != nil {
		return nil, err
	}
	o.Request.Site = support.Site
	ask := loopbackLogin
	if o.ReadPaste != nil {
		ask = pasteLogin
	}
	c, err := ask(ctx, o)
	if err != nil {
		return nil, err
	}
	if tellsUsername(c.Scopes) {
		// A courtesy to the person: the key is good whether or not the site has this route.
		if name, err := c.CurrentUsername(ctx, o.HTTP); err == nil {
			c.Username = printable(name)
		}
	}
	return c, nil
}

func loopbackLogin(ctx context.Context, o Options) (*Credential, error) {
	l, err := ListenLoopback(ctx, o.Request.ApplicationName)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	o.Request.AuthRedirect = l.RedirectURL()
	a, err := Begin(o.Request)
	if err != nil {
		return nil, err
	}
	if err := o.OpenBrowser(ctx, a.URL); err != nil {
		return nil, err
	}
	payload, err := l.Wait(ctx)
	if err != nil {
		return nil, err
	}
	return a.Open(payload)
}

func pasteLogin(ctx context.Context, o Options) (*Credential, error) {
	a, err := Begin(o.Request)
	if err != nil {
		return nil, err
	}
	if err := o.OpenBrowser(ctx, a.URL); err != nil {
		return nil, err
	}
	text, err := o.ReadPaste(ctx, a.Complete)
	if err != nil {
		return nil, err
	}
	return a.Open(text)
}

// tellsUsername tells whether the scopes open the route that names the person.
func tellsUsername(s userkeys.Scopes) bool {
	return slices.ContainsFunc(s, func(name string) bool {
		return name == "session_info" || name == userkeys.ScopeRead || name == userkeys.ScopeWrite
	})
}
