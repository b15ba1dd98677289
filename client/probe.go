package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"userkeys"
)

// Support is what a site says about itself before anybody asks for a key.
type Support struct {
	Site       string // where the site really is, after its redirects
	APIVersion int    // 4 today
	DeviceCode bool   // a person may approve on another machine

	// Description is what a userkeys site tells of what it allows; nil where a
	// site tells nothing, as Discourse does.
	Description *userkeys.Description
	// DescriptionUnknown tells that there may be one: the site could not be asked for it now.
	DescriptionUnknown bool
}

// Speaks says in words which generation of the protocol the site speaks.
func (s Support) Speaks() string {
	switch {
	case s.Description != nil:
		return "userkeys"
	case s.DeviceCode:
		return "Discourse of 2026 or later"
	}
	return "Discourse before 2026"
}

// CallsItself is the address that a userkeys site has for itself, as [ParseSite] writes it, if that is another than
// Site; else empty. There the device flow and what the site links to lead.
func (s Support) CallsItself() string {
	if s.Description == nil {
		return ""
	}
	base, ok := strings.CutSuffix(s.Description.Endpoints["authorization"], newPath)
	named, err := ParseSite(base)
	if !ok || err != nil || named == s.Site {
		return ""
	}
	return named
}

// Limits returns how often a key may be used on the site: what the site describes, else the usual limits of a
// Discourse, which does not tell. 0 is no limit of that kind.
func (s Support) Limits() userkeys.DescribedLimits {
	if s.Description == nil {
		return userkeys.DescribedLimits{PerMinute: 20, PerDay: 2880}
	}
	return s.Description.Limits
}

// Flows are the ways to ask for a key that are known to work on the site, the
// most convenient first. A Discourse does not tell which redirects it allows:
// whether the loopback works there is for [Authorization.Check] to find out.
func (s Support) Flows() []Flow {
	var all []Flow
	if s.Description != nil && s.Description.Redirects.Loopback {
		all = append(all, FlowLoopback)
	}
	if s.DeviceCode {
		all = append(all, FlowDevice)
	}
	return append(all, FlowPaste)
}

// minAPIVersion is the first version with scopes and sealed answers.
const minAPIVersion = 2

// Bounds of a description: more is no help to anybody, and work.
const (
	maxDescribedScopes = 200
	maxDescribedRoutes = 100
)

// Probe asks whether site gives user API keys, and what it tells of itself. It needs no key and
// shows the person nothing.
// Errors: [userkeys.Unavailable] if nobody answers, [userkeys.NotFound] if it gives none.
func Probe(ctx context.Context, base *http.Client, site string) (Support, error) {
	site, err := ParseSite(site)
	if err != nil {
		return Support{}, err
	}
	hc := *strangersClient(base)
	hc.CheckRedirect = followSafely
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, site+newPath, nil)
	if err != nil {
		return Support{}, err
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := hc.Do(req)
	if err != nil {
		return Support{}, unreachable(req, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 {
		return Support{}, ParseError(resp.StatusCode, resp.Header, nil)
	}
	version, err := strconv.Atoi(resp.Header.Get("Auth-Api-Version"))
	folder, ok := strings.CutSuffix(resp.Request.URL.Path, newPath)
	if resp.StatusCode != http.StatusOK || err != nil || version < minAPIVersion || !ok {
		return Support{}, userkeys.Errorf(userkeys.NotFound,
			"%s gives no user API keys; is the address right, with its folder if it lies in one?", site)
	}
	at := url.URL{Scheme: resp.Request.URL.Scheme, Host: resp.Request.URL.Host, Path: folder}
	site, err = ParseSite(at.String())
	if err != nil {
		return Support{}, err
	}
	s := Support{
		Site: site, APIVersion: version,
		DeviceCode: strings.EqualFold(resp.Header.Get("Auth-Api-Device-Code"), "true"),
	}
	s.Description, err = describe(ctx, base, site)
	s.DescriptionUnknown = err != nil
	return s, ctx.Err()
}

// describe reads the site's description. That there is none, or none that can be
// read, says that the site is no userkeys site; that it cannot be asked now is an error.
func describe(ctx context.Context, base *http.Client, site string) (*userkeys.Description, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, site+descriptionPath, nil)
	if err != nil {
		return nil, err
	}
	var d userkeys.Description
	err = doWithin(maxAnswerBytes, stayingClient(base), req, &d)
	switch status := statusOf(err); {
	case status == http.StatusTooManyRequests || status >= 500 || errors.Is(err, userkeys.Unavailable) || ctx.Err() != nil:
		return nil, err
	case err != nil || d.APIVersion < minAPIVersion:
		return nil, nil
	}
	d.Scopes = d.Scopes[:min(len(d.Scopes), maxDescribedScopes)]
	for i := range d.Scopes {
		d.Scopes[i].Routes = d.Scopes[i].Routes[:min(len(d.Scopes[i].Routes), maxDescribedRoutes)]
	}
	return &d, nil
}

// strangersClient makes the calls that carry no key; base, or one with bounds of its own.
func strangersClient(base *http.Client) *http.Client {
	if base != nil {
		return base
	}
	return &http.Client{Timeout: requestTimeout}
}

// stayingClient is [strangersClient] that takes a redirect for the answer: what it
// asks lives where the site is, and a redirect means something there.
func stayingClient(base *http.Client) *http.Client {
	hc := *strangersClient(base)
	hc.CheckRedirect = stay
	return &hc
}

// followSafely follows a site that moved, but never from https to http: the
// key would travel where others read it.
func followSafely(req *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return userkeys.Errorf(userkeys.Unavailable, "the site redirects in circles")
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return userkeys.Errorf(userkeys.Unavailable, "the site redirects from https to http")
	}
	return nil
}
