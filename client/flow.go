package client

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"userkeys"
)

// A Flow is a way to ask a person for a key.
type Flow string

// The flows that [Login] knows. A fourth, a redirect to an address of the app's own, is
// [Begin] with AuthRedirect and then [Authorization.Open].
const (
	FlowLoopback Flow = "loopback" // a browser on this machine, which comes back to this program (RFC 8252)
	FlowDevice   Flow = "device"   // a code that the person types on any device
	FlowPaste    Flow = "paste"    // the site shows the answer, and the person copies it
)

// Options say how [Login] reaches the person. Each flow needs something of them;
// Login takes only flows whose part is there.
type Options struct {
	// Request is what to ask for. AuthRedirect stays empty: Login fills it in.
	Request Request
	// Flows are those to choose from; of several the first that works on the
	// site. Empty: all that the options have the part for.
	Flows []Flow
	// OpenBrowser sends the person to address on this machine: opens a browser, prints it, or
	// both. An error ends the login, so what only failed to open may return nil
	// if the person has seen the address. For the loopback and, beside ReadPaste, the paste flow.
	OpenBrowser func(ctx context.Context, address string) error
	// ShowCode tells the person where to go and which code to type. For the device flow.
	ShowCode func(ctx context.Context, d *DeviceAuthorization) error
	// ReadPaste returns what the person pastes. complete tells whether the text read so
	// far is all. For the paste flow.
	ReadPaste func(ctx context.Context, complete func(text string) bool) (string, error)
	// WrongPaste is told why a pasted text does not open, before ReadPaste is asked again; nil: the
	// first wrong one ends the login, and the person's approval is lost.
	WrongPaste func(err error)
	// LoopbackPort is the port of the loopback flow; 0 is a free one. Discourse compares ports: an
	// administrator there lists http://127.0.0.1:PORT/* in allowed_user_api_auth_redirects.
	LoopbackPort int
	// HTTP makes the calls to the site; nil means a client of our own.
	HTTP *http.Client
}

// can tells whether the options have what a flow needs.
func (o Options) can(f Flow) bool {
	if len(o.Flows) > 0 && !slices.Contains(o.Flows, f) {
		return false
	}
	switch f {
	case FlowLoopback:
		return o.OpenBrowser != nil
	case FlowDevice:
		return o.ShowCode != nil
	case FlowPaste:
		return o.OpenBrowser != nil && o.ReadPaste != nil
	}
	return false
}

// Login asks the person for a key and returns when they have approved, or with
// the error of ctx: but for the device flow a site does not tell an app that a person said no, so give
// ctx an end. Consent pages live for ten minutes.
//
// Errors beside the site's own: [ErrDenied], [ErrCodeExpired] and [ErrAnswerLost] of the device
// flow, [ErrWrongNonce], and what cannot be opened as in [userkeys.OpenPayload].
func Login(ctx context.Context, o Options) (*Credential, error) {
	if o.Request.AuthRedirect != "" {
		return nil, userkeys.Errorf(userkeys.InvalidParameters,
			"login chooses the redirect itself; use Begin for one of your own")
	}
	if o.OpenBrowser == nil && o.ShowCode == nil {
		return nil, userkeys.Errorf(userkeys.MissingParameter, "login needs a way to send the person to an address")
	}
	support, err := Probe(ctx, o.HTTP, o.Request.Site)
	if err != nil {
		return nil, err
	}
	o.Request.Site = support.Site
	flow := o.choose(ctx, support)
	if err := o.usable(flow, support); err != nil {
		return nil, err
	}
	c, err := o.ask(ctx, flow)
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

// choose takes the first flow that works on the site. Where the site does not
// say whether it allows the loopback, it is asked; where it does not know before the
// person approves, the other flows come first.
func (o Options) choose(ctx context.Context, s Support) Flow {
	if len(o.Flows) == 1 {
		return o.Flows[0]
	}
	flows := s.Flows()
	if s.Description == nil && s.DeviceCode && o.can(FlowLoopback) && o.loopbackAllowed(ctx) {
		flows = append([]Flow{FlowLoopback}, flows...)
	}
	for _, f := range append(flows, FlowLoopback) {
		if o.can(f) {
			return f
		}
	}
	return FlowDevice // the options have only that; the site's refusal says the rest
}

// loopbackAllowed asks a Discourse that checks redirects before it asks the person.
func (o Options) loopbackAllowed(ctx context.Context) bool {
	r := o.Request
	r.AuthRedirect = fmt.Sprintf("http://127.0.0.1:%d/answer/%s", cmp.Or(o.LoopbackPort, 49152), RandomID())
	a, err := Begin(r)
	return err == nil && a.Check(ctx, o.HTTP) == nil
}

func (o Options) usable(f Flow, s Support) error {
	switch {
	case !o.can(f):
		return userkeys.Errorf(userkeys.MissingParameter,
			"the flow %q is not one that this program can do: it needs a browser, a way to show a code, or a way to paste", f)
	case f == FlowDevice && !s.DeviceCode:
		return userkeys.Errorf(userkeys.NotFound, "%s has no device flow; paste the answer, or use a browser on this machine",
			s.Site)
	case f == FlowLoopback && s.Description != nil && !s.Description.Redirects.Loopback:
		return userkeys.Errorf(userkeys.RedirectNotAllowed,
			"%s does not send answers to programs on this machine (setting allow_user_api_key_loopback_redirects); use the "+
				"device flow or paste", s.Site)
	}
	return nil
}

func (o Options) ask(ctx context.Context, f Flow) (*Credential, error) {
	switch f {
	case FlowDevice:
		return o.askByDevice(ctx)
	case FlowPaste:
		return o.askByPaste(ctx)
	}
	return o.askByLoopback(ctx)
}

func (o Options) askByLoopback(ctx context.Context) (*Credential, error) {
	l, err := listenLoopback(ctx, o.Request.ApplicationName, o.LoopbackPort)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	o.Request.AuthRedirect = l.RedirectURL()
	a, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	return a.waitAt(ctx, l)
}

// waitAt waits for the answer that opens. Whoever finds the address on this machine could answer
// first: what does not open changes nothing, but for the error if nothing better comes.
func (a *Authorization) waitAt(ctx context.Context, l *Loopback) (*Credential, error) {
	var wrong error
	for {
		payload, err := l.Wait(ctx)
		switch {
		case err != nil && wrong != nil && ctx.Err() != nil:
			return nil, wrong
		case err != nil:
			return nil, err
		}
		c, err := a.Open(payload)
		if err == nil {
			return c, nil
		}
		wrong = err
	}
}

func (o Options) askByPaste(ctx context.Context) (*Credential, error) {
	a, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		text, err := o.ReadPaste(ctx, a.Complete)
		if err != nil {
			return nil, err
		}
		c, err := a.Open(text)
		if err == nil || o.WrongPaste == nil || try == maxPastes {
			return c, err
		}
		o.WrongPaste(err)
	}
}

// maxPastes bounds how often a person is asked for the same answer.
const maxPastes = 10

// begin sends the person to the consent page, unless the site has said before that it
// would refuse: then the reason reaches the program and not only the browser.
func (o Options) begin(ctx context.Context) (*Authorization, error) {
	a, err := Begin(o.Request)
	if err != nil {
		return nil, err
	}
	if err := a.Check(ctx, o.HTTP); err != nil {
		return nil, err
	}
	return a, o.OpenBrowser(ctx, a.URL)
}

func (o Options) askByDevice(ctx context.Context) (*Credential, error) {
	d, err := BeginDevice(ctx, o.HTTP, o.Request)
	if err != nil {
		return nil, err
	}
	if err := o.ShowCode(ctx, d); err != nil {
		return nil, err
	}
	return d.Wait(ctx, o.HTTP)
}

// tellsUsername tells whether the scopes open the route that names the person.
func tellsUsername(s userkeys.Scopes) bool {
	return slices.ContainsFunc(s, func(name string) bool {
		return name == "session_info" || name == userkeys.ScopeRead || name == userkeys.ScopeWrite
	})
}
