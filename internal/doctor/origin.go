package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"userkeys/internal/doctor/reach"
)

// lookAtOrigin asks what a browser asks before a page of another origin may use the key, and then
// reads an answer as that page would.
func (e *examination) lookAtOrigin(ctx context.Context) {
	origin := e.cfg.Origin
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host || origin != strings.ToLower(origin) {
		e.find(CheckPreflight, Problem, "%s is no origin: it has no path and no slash at the end, and is in lower case",
			origin).
			advise("give scheme, host and port as browsers write them: https://app.example")
		return
	}
	c := Call{http.MethodGet, sessionPath}
	if len(e.cfg.Calls) > 0 {
		c = e.cfg.Calls[0]
	}
	o := originCheck{e, origin}
	o.preflight(ctx, c)
	o.read(ctx)
}

// An originCheck finds out whether browsers let pages of an origin use the site.
type originCheck struct {
	*examination
	origin string
}

// preflight asks what a browser asks before it sends a request with a key.
func (o originCheck) preflight(ctx context.Context, c Call) {
	headers := []string{"user-api-key"}
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		headers = []string{"content-type", "user-api-key"}
	}
	resp, err := o.send(ctx, http.MethodOptions, o.site+c.Path, http.Header{
		"Origin": {o.origin}, "Access-Control-Request-Method": {c.Method},
		"Access-Control-Request-Headers": {strings.Join(headers, ",")},
	})
	if err != nil {
		o.unasked(CheckPreflight, err)
		return
	}
	faults := o.faults(resp)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		faults = append(faults, fmt.Sprintf("the preflight is answered with %d instead of a success", resp.StatusCode))
	}
	for _, h := range headers {
		if !reach.Lists(resp.Header, "Access-Control-Allow-Headers", h) {
			faults = append(faults, "Access-Control-Allow-Headers lacks "+http.CanonicalHeaderKey(h))
		}
	}
	simple := c.Method == http.MethodGet || c.Method == http.MethodHead || c.Method == http.MethodPost
	if !simple && !reach.Lists(resp.Header, "Access-Control-Allow-Methods", c.Method) {
		faults = append(faults, "Access-Control-Allow-Methods lacks "+c.Method)
	}
	o.judge(CheckPreflight, faults, "a page of "+o.origin+" may send "+c.Method+" with a key")
}

// read requests a path without the key, because what is allowed to a page does not depend on the key.
func (o originCheck) read(ctx context.Context) {
	resp, err := o.send(ctx, http.MethodGet, o.site+sessionPath,
		http.Header{"Origin": {o.origin}, "Accept": {"application/json"}})
	if err != nil {
		o.unasked(CheckCORS, err)
		return
	}
	works := "and may read the answer"
	if !reach.Lists(resp.Header, "Access-Control-Expose-Headers", "Retry-After") {
		works += ", but not Retry-After (Access-Control-Expose-Headers lacks it)"
	}
	o.judge(CheckCORS, o.faults(resp), works)
}

// judge notes the finding: what works, or the faults.
func (o originCheck) judge(c Check, faults []string, works string) {
	if len(faults) == 0 {
		o.find(c, OK, "%s", works)
		return
	}
	advice := "an administrator can add this line to cors_origins: " + o.origin
	if !o.userkeysSite() {
		advice += "; a Discourse also needs DISCOURSE_ENABLE_CORS: true in its app.yml, and a rebuild"
	}
	o.find(c, Problem, "a browser refuses it: %s", strings.Join(faults, "; ")).advise(advice)
}

// faults returns why a browser does not let the page read resp.
func (o originCheck) faults(resp *http.Response) []string {
	switch allowed := resp.Header.Get("Access-Control-Allow-Origin"); allowed {
	case o.origin, "*":
		return nil
	case "":
		return []string{"the header Access-Control-Allow-Origin is missing"}
	default:
		return []string{"Access-Control-Allow-Origin allows " + allowed + ", not " + o.origin}
	}
}
