// Package doctor checks everything that can go wrong between an app and a site, a userkeys site or a Discourse of any
// age, and explains what it finds and which setting to change. It asks no user anything, changes nothing, and makes few
// requests.
package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/doctor/reach"
)

// Config says what to examine: an app and a site, and what the app wants to do there.
type Config struct {
	Site      string          // as the user types it
	Scopes    userkeys.Scopes // that the app asks for; nil: read
	Redirect  string          // where the app wants the payload sent; empty: only to this machine
	PushURL   string          // where the app wants notifications pushed to; may be empty
	ExpiresIn time.Duration   // the lifetime that the app asks for; 0: none
	Calls     []Call          // that the app will make with the key
	Origin    string          // of a page that will use the key in a browser; may be empty
	// OpenKey returns the stored key for a site, as [client.ParseSite] writes it; nil if there is none. It is called
	// only if the site answers. If OpenKey is nil no key is checked.
	OpenKey func(site string) (*client.Credential, error)

	Transport http.RoundTripper // nil: one with the certificates and proxies of the system
	Now       func() time.Time  // nil: time.Now
	KeyPair   *client.KeyPair   // for requests that are only checked; nil: a new one
	Patience  time.Duration     // for one request, and six times that for all; 0: ten seconds
	// Asked is called before each request, with the address without its query; may be nil.
	Asked func(method, address string)
}

// A State says whether a finding is a problem.
type State string

// The states of a finding.
const (
	OK      State = "ok"
	Warning State = "warning" // it works, but maybe not for long or not for all users
	Problem State = "problem"
	Skipped State = "skipped" // it could not be checked
)

// A Finding says what was found in one check, and what would help.
type Finding struct {
	Check  Check  `json:"check"`
	State  State  `json:"state"`
	Says   string `json:"says"`
	Advice string `json:"advice,omitempty"`
}

// A Check is one thing that [Examine] looks at.
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
	patienceForAll    = 6 // times that of one question
	maxHeaderBytes    = 128 << 10
	maxFindingRunes   = 2000
	maxScopesOneByOne = 10
	examinationBits   = 2048 // nothing is encrypted to it
)

// An examination is one run of [Examine]. Its fields hold what one step learns for the next.
type examination struct {
	cfg      Config
	http     *http.Client // follows no redirect by itself
	heard    *reach.Recorder
	findings []*Finding
	over     func() error // returns an error when the time is over
	stopped  string       // why no more can be checked; empty while it can

	site     string      // the address; after the probe, the one that the site has moved to
	probed   []reach.Hop // of the probe, with its redirects
	probeErr error
	support  client.Support
	key      *client.Credential
	owner    person          // of the key, as far as the site tells
	session  error           // of the request for its session
	closed   bool            // the site gives no new keys
	unsure   bool            // the site did not say which scopes it allows
	allowed  userkeys.Scopes // of those asked for; known after [examination.scopes]
	trustErr error           // the site says that not every user may give keys
}

// A step is a check, or some that belong together.
type step struct {
	check  Check
	wanted bool // otherwise it is left out
	look   func(context.Context)
}

// Examine checks everything that can go wrong between an app and a site and returns what it found, in the order of
// the checks. It asks no user anything and changes nothing. With a stored key it makes one call, a second one if
// the first does not tell whether the key works, and one more if the key may see notifications. The texts of the
// findings do not contain the key, and are safe to show in a terminal.
func Examine(ctx context.Context, cfg Config) []Finding {
	e := newExamination(cfg)
	ctx, cancel := context.WithTimeout(ctx, patienceForAll*e.cfg.Patience)
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
		{CheckRedirect, cfg.Redirect != "", e.lookAtRedirect},
		{CheckLoopback, true, e.lookAtLoopback},
		{CheckPush, cfg.PushURL != "", e.lookAtPush},
		{CheckLifetime, cfg.ExpiresIn != 0, e.lookAtLifetime},
		{CheckKey, cfg.OpenKey != nil, e.lookAtKey},
		{CheckCall, len(cfg.Calls) > 0, e.lookAtCalls},
		{CheckTrust, true, e.lookAtTrust},
		{CheckLimits, true, e.lookAtLimits},
		{CheckPreflight, cfg.Origin != "", e.lookAtOrigin},
	})
	var all []Finding
	for _, f := range e.findings { // texts of the site become safe to show
		all = append(all, Finding{f.Check, f.State, e.shown(f.Says), e.shown(f.Advice)})
	}
	return all
}

func newExamination(cfg Config) *examination {
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = userkeys.Scopes{userkeys.ScopeRead}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Patience == 0 {
		cfg.Patience = questionPatience
	}
	if cfg.Transport == nil {
		cfg.Transport = ownTransport()
	}
	e := &examination{cfg: cfg, heard: &reach.Recorder{
		Base: cfg.Transport, Asked: cfg.Asked, Now: cfg.Now,
		Patience: cfg.Patience,
	}}
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

// run makes the steps until one of them stops the examination, and notes that the others were skipped.
func (e *examination) run(ctx context.Context, steps []step) {
	for _, s := range steps {
		if ctx.Err() != nil && e.stopped == "" {
			e.stopped = noTimeLeft
		}
		switch {
		case !s.wanted:
		case e.stopped != "":
			e.find(s.check, Skipped, "%s", e.stopped)
		default:
			s.look(ctx)
		}
	}
}

// find notes a finding, whose text is formatted as by [fmt.Sprintf].
func (e *examination) find(c Check, s State, format string, args ...any) *Finding {
	f := &Finding{Check: c, State: s, Says: fmt.Sprintf(format, args...)}
	e.findings = append(e.findings, f)
	return f
}

// advise adds what would help.
func (f *Finding) advise(text string) { f.Advice = text }

// stop ends the examination after this step.
func (e *examination) stop(format string, args ...any) {
	e.stopped = fmt.Sprintf(format, args...)
}

// shown returns text that is safe to show: without the key, which a site may repeat, and without control characters.
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

// userkeysSite reports whether the site describes itself, as only userkeys does.
func (e *examination) userkeysSite() bool { return e.support.Description != nil }
