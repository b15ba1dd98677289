package client

import (
	"context"
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
}

// minAPIVersion is the first version with scopes and sealed answers.
const minAPIVersion = 2

// Probe asks whether site gives user API keys. It needs no key and shows the person nothing.
// Errors: [userkeys.Unavailable] if nobody answers, [userkeys.NotFound] if it gives none.
func Probe(ctx context.Context, base *http.Client, site string) (Support, error) {
	site, err := ParseSite(site)
	if err != nil {
		return Support{}, err
	}
	hc := http.Client{Timeout: requestTimeout}
	if base != nil {
		hc = *base
	}
	hc.CheckRedirect = followSafely
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, site+newPath, nil)
	if err != nil {
		return Support{}, err
	}
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
		return Support{}, userkeys.Errorf(userkeys.NotFound, "%s gives no user API keys; is the address right, with its folder if it lies in one?", site)
	}
	at := url.URL{Scheme: resp.Request.URL.Scheme, Host: resp.Request.URL.Host, Path: folder}
	site, err = ParseSite(at.String())
	if err != nil {
		return Support{}, err
	}
	return Support{Site: site, APIVersion: version, DeviceCode: strings.EqualFold(resp.Header.Get("Auth-Api-Device-Code"), "true")}, nil
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
