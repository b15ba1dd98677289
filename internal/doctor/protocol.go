package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/doctor/reach"
	"userkeys/internal/outward"
)

// speaksNot says why a server that answers seems to give no keys.
func (e *examination) speaksNot(ctx context.Context) (string, string) {
	last := e.last()
	status := last.Resp.StatusCode
	var api *client.APIError
	switch {
	case status == http.StatusUnauthorized:
		return "the site asks for a password of its web server (401) before anything else",
			"its administrator must let " + probePath + " and the API pass without"
	case errors.As(e.probeErr, &api):
		return refusedUs(api)
	case status == http.StatusForbidden:
		return "something before the site refuses programs (403)" +
				said(", its server is %s", last.Resp.Header.Get("Server")),
			"its administrator must let " + probePath + " and the API pass the firewall"
	case !strings.HasSuffix(last.URL.Path, probePath) || last.Redirect() != nil:
		return "the site sends strangers away (" + reach.WithoutQuery(last.URL) +
				") instead of telling whether it gives keys",
			"something before it demands a login: its administrator must let /user-api-key/ pass; or the address lacks a folder"
	}
	if at := e.elsewhere(ctx); at != "" {
		return "there are no user API keys at " + e.site + ", but at " + at, "use " + at
	}
	if status == http.StatusOK {
		version := last.Resp.Header.Get("Auth-Api-Version")
		if version != "" {
			return "the site speaks version " + version + " of the protocol, which has no scopes and no sealed answers",
				"the site must be updated"
		}
		return "a server answers, but does not say that it gives user API keys (no Auth-Api-Version header)",
			"is it a Discourse or userkeys site? If so, a proxy before it drops the header or answers in its place"
	}
	return fmt.Sprintf("%s gives no user API keys (%d)", e.site, status),
		"check the address, with its folder if the site lies in one; of userkeys before another website, /user-api-key/ " +
			"must reach userkeys"
}

// said formats v by format; it returns nothing for a value that the site has not sent.
func said[T comparable](format string, v T) string {
	var none T
	if v == none {
		return ""
	}
	return fmt.Sprintf(format, v)
}

// refusedUs says what an answer means that is not about the question.
func refusedUs(err *client.APIError) (string, string) {
	switch {
	case err.Status == http.StatusTooManyRequests:
		return "the site answers 429: too many requests" + said(" (%s)", err.LimitCode),
			"wait" + said(" %v", err.RetryAfter) + " and run this again"
	case err.Status >= 500:
		return fmt.Sprintf("the trouble is the site's: it answers %d", err.Status),
			"wait" + said(" %v", err.RetryAfter) + "; its administrator finds the reason in the site's log"
	}
	return err.Error(), "look at what stands before the site: this is no answer of its own"
}

// usualFolders are where people put a forum beside another site.
var usualFolders = []string{"/forum", "/community", "/discourse"}

// elsewhere looks for the site nearby on its host: people forget its folder, or add one.
func (e *examination) elsewhere(ctx context.Context) string {
	u, err := url.Parse(e.site)
	if err != nil {
		return ""
	}
	root := url.URL{Scheme: u.Scheme, Host: u.Host}
	var candidates []string
	if u.Path != "" {
		candidates = append(candidates, root.String())
	} else {
		if at := e.frontPage(ctx, root); at != "" {
			candidates = append(candidates, at)
		}
		for _, folder := range usualFolders {
			candidates = append(candidates, root.String()+folder)
		}
	}
	for _, at := range candidates {
		if s, err := client.Probe(ctx, e.http, at); err == nil {
			return s.Site
		}
	}
	return ""
}

// frontPage is where the root of a host sends visitors, if that is a folder of it.
func (e *examination) frontPage(ctx context.Context, root url.URL) string {
	if _, err := e.send(ctx, http.MethodHead, root.String()+"/", nil); err != nil {
		return ""
	}
	to := e.heard.Hops[len(e.heard.Hops)-1].Redirect()
	if to == nil || to.Host != root.Host || to.Scheme != root.Scheme || strings.Trim(to.Path, "/") == "" {
		return ""
	}
	at, _ := reach.WithoutPage(reach.WithoutQuery(to))
	return at
}

// send asks something without a key, and gives the answer without its body.
func (e *examination) send(ctx context.Context, method, address string, h http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range h {
		req.Header[name] = values
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, &userkeys.Error{Code: userkeys.Unavailable, Public: outward.Innermost(err), Err: err}
	}
	return resp, resp.Body.Close()
}

// lookAtPolicy tells what the site says it allows.
func (e *examination) lookAtPolicy(context.Context) {
	d := e.support.Description
	if d == nil {
		e.find(CheckPolicy, Skipped, "a Discourse does not tell what it allows; it is asked below")
		return
	}
	var names userkeys.Scopes
	for _, s := range d.Scopes {
		names = append(names, s.Name)
	}
	if !d.Open {
		e.closed = true
		e.find(CheckPolicy, Problem, "the site gives no new keys at present; keys that exist go on").
			advise("an administrator can set allow_user_api_keys to true")
		return
	}
	says := []string{"it allows the scopes " + names.String()}
	if d.Lifetime.UnusedDays > 0 {
		says = append(says, fmt.Sprintf("keys end after %d days without use", d.Lifetime.UnusedDays))
	}
	if d.Lifetime.MaxLifeDays > 0 {
		says = append(says, fmt.Sprintf("and %d days after they were given in any case", d.Lifetime.MaxLifeDays))
	}
	if d.Lifetime.MaxSeconds > 0 {
		says = append(says, fmt.Sprintf("an app may ask for at most %s",
			days(time.Duration(d.Lifetime.MaxSeconds)*time.Second)))
	}
	e.find(CheckPolicy, OK, "%s", strings.Join(says, "; "))
}
