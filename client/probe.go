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

// Support is what a site says about user API keys before an app asks for one.
type Support struct {
	Site       string // the address of the site, after its redirects
	APIVersion int    // 4 today
	DeviceCode bool   // the site has the device flow

	// Description is what a userkeys site says about what it allows; nil if the site does not describe itself, like a
	// Discourse.
	Description *userkeys.Description
	// DescriptionUnknown reports that the site could not be asked for its description now.
	DescriptionUnknown bool
}

// Speaks returns the generation of the protocol that the site speaks, in words.
func (s Support) Speaks() string {
	switch {
	case s.Description != nil:
		return "userkeys"
	case s.DeviceCode:
		return "Discourse of 2026 or later"
	}
	return "Discourse before 2026"
}

// CallsItself returns the address that a userkeys site has for itself, as [ParseSite] writes it, if it differs
// from Site; else empty. The device flow and the site's links lead to that address.
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

// Limits returns how often a key may be used on the site: what the site describes, or the usual limits of a
// Discourse, which does not describe them. 0 means that there is no limit of that kind.
func (s Support) Limits() userkeys.DescribedLimits {
	if s.Description == nil {
		return userkeys.DescribedLimits{PerMinute: 20, PerDay: 2880}
	}
	return s.Description.Limits
}

// Flows returns the flows that are known to work on the site, the most convenient first. A Discourse does not say
// which redirects it allows: [Authorization.Check] finds out whether the loopback flow works there.
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

// minAPIVersion is the first version of the protocol with scopes and encrypted payloads.
const minAPIVersion = 2

// Bounds of a description, so that a site cannot make an app work without end.
const (
	maxDescribedScopes = 200
	maxDescribedRoutes = 100
)

// Probe asks a site whether it offers user API keys, and for its description. It needs no key, and no user is
// asked.
//
// Errors: [userkeys.Unavailable] if the site does not answer, [userkeys.NotFound] if it offers no keys, an
// [*APIError] if it cannot say now.
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
	refused := ParseError(resp.StatusCode, resp.Header, nil)
	if refused.Status == http.StatusTooManyRequests || refused.Status >= 500 || refused.AsksPassword {
		return Support{}, refused
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

// describe requests the site's description. It returns nil without an error if there is none, or none that can be
// read: then the site is not userkeys.
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

// strangersClient returns the client for calls without a key: base, or one with time limits if base is nil.
func strangersClient(base *http.Client) *http.Client {
	if base != nil {
		return base
	}
	return &http.Client{Timeout: requestTimeout}
}

// stayingClient is [strangersClient] that returns a redirect as the answer, because redirects of these routes have
// a meaning.
func stayingClient(base *http.Client) *http.Client {
	hc := *strangersClient(base)
	hc.CheckRedirect = stay
	return &hc
}

// followSafely follows the redirects of a site that has moved, but none from https to http, where others can read
// keys.
func followSafely(req *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return userkeys.Errorf(userkeys.Unavailable, "the site redirects in circles")
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return userkeys.Errorf(userkeys.Unavailable, "the site redirects from https to http")
	}
	return nil
}
