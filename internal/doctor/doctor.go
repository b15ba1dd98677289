// Package doctor asks everything that can go wrong between an app and a site, a userkeys site or a
// Discourse of any age, and explains it in words with the setting to change. It
// bothers nobody, changes nothing, and asks little.
package doctor

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
)

// A Patient is an app and a site between which something may be wrong, and what the app means to do there.
type Patient struct {
	Site      string          // as a person writes it
	Scopes    userkeys.Scopes // that the app asks for; nil: read
	Redirect  string          // where the app wants the answer; empty: nowhere but to this machine
	PushURL   string          // where it wants notifications; may be empty
	ExpiresIn time.Duration   // the lifetime that it asks for; 0: none
	Calls     []Call          // that it will make with the key
	Origin    string          // of the page that calls from a browser; empty: none does
	// OpenKey gives the stored key for a site as [client.ParseSite] writes it; a nil one if there is
	// none. It is called only when the site answers. nil: no key is looked at.
	OpenKey func(site string) (*client.Credential, error)

	Transport http.RoundTripper // nil: one of our own, which uses the system's certificates and proxies
	Now       func() time.Time  // nil: time.Now
	KeyPair   *client.KeyPair   // to ask with; nil: a new one
	Patience  time.Duration     // for one question; six times that for all. 0: ten seconds
	// Asked is told every request before it is made, with the address without its query; may be nil.
	Asked func(method, address string)
}

// A State says how bad a finding is.
type State string

// The states of a finding.
const (
	OK      State = "ok"
	Warning State = "warning" // it works, and may not for long or not for all
	Problem State = "problem"
	Skipped State = "skipped" // nobody can tell, or not now
)

// A Finding is what was found about one thing, in words, and what would help.
type Finding struct {
	Check  Check  `json:"check"`
	State  State  `json:"state"`
	Says   string `json:"says"`
	Advice string `json:"advice,omitempty"`
}

// A Check is a thing that is looked at.
type Check string

// The checks, in the order in which they are made.
const (
	CheckAddress    Check = "address"
	CheckConnection Check = "connection"
	CheckTLS        Check = "tls"
	CheckEncryption Check = "encryption"
	CheckRedirects  Check = "redirects"
	CheckClock      Check = "clock"
	CheckProtocol   Check = "protocol"
	CheckName       Check = "name" // only if something is wrong with it
	CheckPolicy     Check = "policy"
	CheckScope      Check = "scope" // a finding for each
	CheckRedirect   Check = "redirect"
	CheckLoopback   Check = "loopback"
	CheckPush       Check = "push"
	CheckLifetime   Check = "lifetime"
	CheckKey        Check = "key"
	CheckEnd        Check = "end"
	CheckAnswers    Check = "answers" // only of a userkeys site, of what apps ask first
	CheckCall       Check = "call"    // a finding for each
	CheckTrust      Check = "trust"
	CheckLimits     Check = "limits"
	CheckPreflight  Check = "preflight"
	CheckCORS       Check = "cors"
)

// Bounds of an examination.
const (
	questionPatience  = 10 * time.Second
	patienceForAll    = 6       // times that of one question
	maxAnswerBytes    = 1 << 20 // of one answer
	maxHeaderBytes    = 128 << 10
	maxFindingRunes   = 2000
	maxScopesOneByOne = 10
	examinationBits   = 2048 // nobody seals anything to it
)

// An examination is one run of [Examine]. What it hears goes from step to step here.
type examination struct {
	p        Patient
	http     *http.Client // follows no redirect by itself
	heard    *recorder
	findings []Finding
	over     func() error // not nil when the time is over
	stopped  string       // why nothing more can be asked; empty while it can

	site     string // as it is asked; after the probe, where it really is
	probed   []hop  // of the probe, with its redirects
	probeErr error
	support  client.Support
	key      *client.Credential
	owner    person          // of the key, as far as the site tells
	session  error           // that of asking for its session
	closed   bool            // the site gives no new keys
	unsure   bool            // it did not answer about the scopes
	allowed  userkeys.Scopes // of those asked for; known after [examination.scopes]
	trustErr error           // that a person there may not give keys
}

// A step is a check, or some that belong together.
type step struct {
	check  Check
	wanted bool // else nobody has asked for it
	look   func(context.Context)
}

// Examine looks at everything that can go wrong between an app and a site, and says what it found in the order
// of the checks. It shows no person anything and changes nothing; a stored key is used for one call, for a
// second where the first leaves a doubt, and for one more if it may see notifications. The findings hold no
// key, and only characters that a terminal may show.
func Examine(ctx context.Context, p Patient) []Finding {
	e := newExamination(p)
	ctx, cancel := context.WithTimeout(ctx, patienceForAll*e.p.Patience)
	defer cancel()
	e.over = ctx.Err
	e.run(ctx, []step{{CheckAddress, true, e.lookAtAddress}})
	e.run(ctx, []step{
		{CheckConnection, true, e.lookAtConnection},
		{CheckTLS, true, e.lookAtTLS},
		{CheckEncryption, strings.HasPrefix(e.site, "http:"), e.lookAtEncryption},
		{CheckRedirects, true, e.lookAtRedirects},
		{CheckClock, true, e.lookAtClock},
		{CheckProtocol, true, e.lookAtProtocol},
		{CheckPolicy, true, e.lookAtPolicy},
		{CheckScope, true, e.lookAtScopes},
		{CheckRedirect, p.Redirect != "", e.lookAtRedirect},
		{CheckLoopback, true, e.lookAtLoopback},
		{CheckPush, p.PushURL != "", e.lookAtPush},
		{CheckLifetime, p.ExpiresIn != 0, e.lookAtLifetime},
		{CheckKey, p.OpenKey != nil, e.lookAtKey},
		{CheckCall, len(p.Calls) > 0, e.lookAtCalls},
		{CheckTrust, true, e.lookAtTrust},
		{CheckLimits, true, e.lookAtLimits},
		{CheckPreflight, p.Origin != "", e.lookAtOrigin},
	})
	return e.findings
}

func newExamination(p Patient) *examination {
	if len(p.Scopes) == 0 {
		p.Scopes = userkeys.Scopes{userkeys.ScopeRead}
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Patience == 0 {
		p.Patience = questionPatience
	}
	if p.Transport == nil {
		p.Transport = ownTransport()
	}
	e := &examination{p: p, heard: &recorder{base: p.Transport, asked: p.Asked, now: p.Now, patience: p.Patience}}
	e.http = &http.Client{
		Transport:     e.heard,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return e
}

func ownTransport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxResponseHeaderBytes, t.IdleConnTimeout = maxHeaderBytes, questionPatience
	return t
}

// run makes the steps until one of them stops the examination; of the others it says so.
func (e *examination) run(ctx context.Context, steps []step) {
	for _, s := range steps {
		if ctx.Err() != nil && e.stopped == "" {
			e.stopped = noTimeLeft
		}
		switch {
		case !s.wanted:
		case e.stopped != "":
			e.find(s.check, Skipped, "", "%s", e.stopped)
		default:
			s.look(ctx)
		}
	}
}

// find notes a finding. What a site says passes here, so here it becomes safe to show, and a
// site that repeats the key which it was sent does not bring it to the screen.
func (e *examination) find(c Check, s State, advice, format string, args ...any) {
	e.findings = append(e.findings, Finding{
		Check: c, State: s, Says: e.shown(fmt.Sprintf(format, args...)),
		Advice: e.shown(advice),
	})
}

// stop ends the examination after this step.
func (e *examination) stop(format string, args ...any) {
	e.stopped = fmt.Sprintf(format, args...)
}

func (e *examination) shown(text string) string {
	if e.key != nil && e.key.Key != "" {
		text = strings.ReplaceAll(text, e.key.Key.Reveal(), "[the key]")
	}
	runes := []rune(userkeys.Printable(strings.Join(strings.Fields(text), " ")))
	if len(runes) > maxFindingRunes {
		return string(runes[:maxFindingRunes]) + "..."
	}
	return string(runes)
}

// userkeysSite tells whether the site describes itself, as only userkeys does.
func (e *examination) userkeysSite() bool { return e.support.Description != nil }

// A hop is one request and what became of it.
type hop struct {
	method string
	url    *url.URL
	resp   *http.Response // without its body; nil if there was none
	err    error
	at     time.Time // when it ended
	keyed  bool      // it was sent with the stored key
}

func (h hop) host() string { return h.url.Host }

// redirect is where the answer points to; nil if nowhere.
func (h hop) redirect() *url.URL {
	if h.resp == nil || h.resp.StatusCode < 300 || h.resp.StatusCode > 399 {
		return nil
	}
	to, err := h.resp.Location()
	if err != nil {
		return nil
	}
	return to
}

// A recorder keeps what every request met on its way, and bounds what is read and for how long. It keeps no request
// headers, only whether the key was among them.
type recorder struct {
	base     http.RoundTripper
	asked    func(method, address string)
	now      func() time.Time
	patience time.Duration
	hops     []hop
}

// RoundTrip implements [http.RoundTripper].
func (c *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.asked != nil {
		at := url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: r.URL.Path}
		c.asked(r.Method, at.String())
	}
	ctx, cancel := context.WithTimeout(r.Context(), c.patience)
	resp, err := c.base.RoundTrip(r.WithContext(ctx))
	h := hop{method: r.Method, url: r.URL, err: err, at: c.now(), keyed: r.Header.Get(userkeys.KeyHeader) != ""}
	if err != nil {
		cancel()
	} else {
		kept := *resp
		kept.Body, kept.Request = nil, &http.Request{Method: r.Method, URL: r.URL}
		h.resp = &kept
		resp.Body = &boundedBody{io.LimitReader(resp.Body, maxAnswerBytes), resp.Body, cancel}
	}
	c.hops = append(c.hops, h)
	return resp, err
}

// A boundedBody is the beginning of a body, as far as it comes in time.
type boundedBody struct {
	io.Reader
	body   io.Closer
	cancel context.CancelFunc
}

// Close implements [io.Closer].
func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.body.Close()
}
