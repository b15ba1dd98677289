package client

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"userkeys"
)

// A Flow is a way to ask a user for a key.
type Flow string

// The flows of [Login]. An app with an address of its own uses [Begin] with AuthRedirect, and [Authorization.Open].
const (
	FlowLoopback Flow = "loopback" // a browser on this machine, which the site redirects to this program (RFC 8252)
	FlowDevice   Flow = "device"   // a code that the user types on any device
	FlowPaste    Flow = "paste"    // the site shows the payload, and the user copies it
)

// Options say how [Login] reaches the user. Each flow needs some of the functions; Login uses only flows whose
// functions are set.
type Options struct {
	// Request is what to ask for. AuthRedirect stays empty: Login fills it in.
	Request Request
	// Flows are the flows that Login may use; it takes the first that works on the site. Empty: all flows whose
	// functions are set.
	Flows []Flow
	// OpenBrowser sends the user to address: it opens a browser on this machine, prints the address, or both. An error
	// ends the login, so return nil if the browser did not open but the user has seen the address. The loopback flow
	// needs it, and the paste flow.
	OpenBrowser func(ctx context.Context, address string) error
	// ShowCode shows the user the address to open and the code to type. The device flow needs it.
	ShowCode func(ctx context.Context, d *DeviceAuthorization) error
	// ReadPaste returns the text that the user pastes. complete reports whether the text that was read so far is a
	// whole payload, or cannot become one, so that a program that reads lines knows when to stop. The paste flow needs
	// it.
	ReadPaste func(ctx context.Context, complete func(text string) bool) (string, error)
	// WrongPaste is called with the reason if the pasted text does not open, before ReadPaste is called again. If it
	// is nil the first wrong text ends the login, and the approval is lost.
	WrongPaste func(err error)
	// LoopbackPort is the port of the loopback flow; 0 is any free port. A Discourse compares ports: its administrator
	// lists http://127.0.0.1:PORT/* in allowed_user_api_auth_redirects.
	LoopbackPort int
	// HTTP makes the requests to the site; nil is a client with the time limits of this package.
	HTTP *http.Client
}

// can reports whether the options have what a flow needs.
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

// Login asks a user for a key and returns when they have approved. Give ctx a deadline: most sites do not tell an
// app that the user has denied, and consent pages are valid for ten minutes.
//
// Errors: [userkeys.Unavailable] and [userkeys.NotFound] of [Probe], the site's refusals as in
// [Authorization.Check], [ErrDenied], [ErrCodeExpired], [ErrAnswerLost], [ErrWrongNonce], those of
// [userkeys.OpenPayload], the error of ctx.
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
		// Without the name the key works as well.
		if name, err := c.CurrentUsername(ctx, o.HTTP); err == nil {
			c.Username = printable(name)
		}
	}
	return c, nil
}

// choose returns the first flow that works on the site. If a Discourse may allow the loopback redirect it is
// asked; if it does not say before the user approves, the other flows come first.
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
	return FlowDevice // the options have no other; the error says that the site lacks it
}

// loopbackAllowed asks a Discourse that checks redirects before it asks the user.
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

// waitAt waits for a payload that opens. Any program on this machine may send another one to the address first, so
// a payload that does not open is ignored; its error is returned if ctx ends before a better one comes.
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

// maxPastes bounds how often a user is asked for the same payload.
const maxPastes = 10

// begin sends the user to the consent page, unless the site refuses the request beforehand: then the program gets
// the reason, and not only the browser.
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

// tellsUsername reports whether the scopes allow the request that names the user.
func tellsUsername(s userkeys.Scopes) bool {
	return slices.ContainsFunc(s, func(name string) bool {
		return name == "session_info" || name == userkeys.ScopeRead || name == userkeys.ScopeWrite
	})
}
