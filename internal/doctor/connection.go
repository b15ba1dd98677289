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

const (
	probePath       = "/user-api-key/new"
	sessionPath     = "/session/current.json"
	expiresSoon     = 14 * 24 * time.Hour // for certificates and keys
	clockTolerance  = time.Minute
	todaysAPI       = 4
	maxHopsOfAProbe = 5
)

// lookAtAddress makes a site of what a person pasted.
func (e *examination) lookAtAddress(context.Context) {
	typed := strings.TrimSpace(e.cfg.Site)
	site, err := client.ParseSite(typed)
	cut, what := reach.WithoutPage(typed)
	if err != nil || what != "" {
		// People paste the page that they are looking at.
		better, betterErr := client.ParseSite(cut)
		if betterErr != nil {
			e.find(CheckAddress, Problem, "%s", userkeys.AsError(betterErr).Public).
				advise("give the address of the site's front page, such as https://forum.example")
			e.stop("the address of the site is not known")
			return
		}
		e.site = better
		e.find(CheckAddress, Problem, "%s has %s in it, which is not part of a site's address; what "+"follows is about %s",
			typed, what, better).
			advise("use " + better)
		return
	}
	e.site = site
	e.find(CheckAddress, OK, "%s", site)
}

// lookAtConnection asks the site for the first time.
func (e *examination) lookAtConnection(ctx context.Context) {
	e.support, e.probeErr = client.Probe(ctx, e.http, e.site)
	for _, h := range e.heard.Hops {
		if h.Method == http.MethodHead {
			e.probed = append(e.probed, h)
		}
	}
	if len(e.probed) == 0 {
		e.find(CheckConnection, Problem, "%s cannot be asked", e.site)
		e.stop("the site cannot be reached")
		return
	}
	last := e.last()
	switch {
	case last.Err == nil && last.Host() == e.probed[0].Host():
		e.find(CheckConnection, OK, "%s answers", last.Host())
	case last.Err == nil:
		e.find(CheckConnection, OK, "%s answers, in the end %s", e.probed[0].Host(), last.Host())
	case reach.FailedTLS(last.Err):
		e.find(CheckConnection, OK, "a server answers at %s", last.Host())
	default:
		host := last.Host()
		if len(e.probed) > 1 {
			host += " (where " + e.probed[0].Host() + " sends on to)"
		}
		says, advice := last.WhyUnreached(host, e.cfg.Patience)
		e.find(CheckConnection, Problem, "%s", says).advise(advice)
		e.stop("the site cannot be reached")
	}
}

func (e *examination) last() reach.Hop { return e.probed[len(e.probed)-1] }

// lookAtTLS judges the certificate of the last server that was asked.
func (e *examination) lookAtTLS(context.Context) {
	last := e.last()
	if last.Err != nil {
		says, advice := last.WhyUntrusted(e.cfg.Now())
		e.find(CheckTLS, Problem, "%s", says).advise(advice)
		e.stop("there is no secure connection to the site")
		return
	}
	if last.Resp.TLS == nil || len(last.Resp.TLS.PeerCertificates) == 0 {
		return // plain http, which is a finding of its own
	}
	ends := last.Resp.TLS.PeerCertificates[0].NotAfter
	until := "the certificate is good until " + ends.UTC().Format(time.DateTime) + " UTC"
	if left := ends.Sub(e.cfg.Now()); left < expiresSoon {
		e.find(CheckTLS, Warning, "%s: in %s", until, days(left)).
			advise("the site's administrator should renew it, and see why that does not happen by itself")
		return
	}
	e.find(CheckTLS, OK, "%s", until)
}

// days is a time that is left, for people.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// lookAtEncryption warns of keys that travel readable.
func (e *examination) lookAtEncryption(context.Context) {
	switch {
	case e.last().URL.Scheme == "https":
		e.find(CheckEncryption, OK, "the site sends http on to https")
	case client.PlainHTTP(e.site):
		e.find(CheckEncryption, Warning, "%s is plain http: whoever is on the way can read the key", e.site).
			advise("use https; if the site has none, its administrator should give it a certificate")
	default:
		e.find(CheckEncryption, OK, "plain http, which does not leave this machine")
	}
}

// lookAtRedirects says where the site really is.
func (e *examination) lookAtRedirects(context.Context) {
	last := e.last()
	to := last.Redirect()
	switch {
	case e.probeErr == nil && e.support.Site != e.site:
		e.find(CheckRedirects, Warning, "%s has moved to %s", e.site, e.support.Site).
			advise("use " + e.support.Site + " from the start: a key goes to the address that it was given for and to no other")
		e.site = e.support.Site
	case to != nil && last.URL.Scheme == "https" && to.Scheme != "https":
		e.find(CheckRedirects, Problem, "%s sends from https back to http (%s), where others can read the key; nothing "+
			"follows it there", last.Host(), reach.WithoutQuery(to)).
			advise("the site's administrator must set its own address to https (Discourse: force_https; userkeys: --url " +
				"https://...)")
		e.stop("the site cannot be asked over https")
	case to != nil && len(e.probed) >= maxHopsOfAProbe:
		e.find(CheckRedirects, Problem, "the site redirects in circles (%s)", reach.WithoutQuery(to)).
			advise("the site's administrator must look at its proxy: most often both it and the site insist on http or https")
		e.stop("the site redirects in circles")
	case len(e.probed) > 1 || to != nil:
		if to == nil {
			to = last.URL
		}
		e.find(CheckRedirects, Warning, "%s sends on to %s", e.site, reach.WithoutQuery(to))
	default:
		e.find(CheckRedirects, OK, "none: the site is where it was looked for")
	}
}

// lookAtClock compares the site's clock with ours.
func (e *examination) lookAtClock(context.Context) {
	last := e.last()
	theirs, err := http.ParseTime(last.Resp.Header.Get("Date"))
	if err != nil {
		e.find(CheckClock, Skipped, "the site does not say what time it is there")
		return
	}
	ahead := theirs.Sub(last.At).Round(time.Second)
	switch {
	case ahead > clockTolerance:
		e.find(CheckClock, Warning, "the site's clock is %v ahead of this machine's", ahead).
			advise("set both clocks by the network (NTP): keys, codes and certificates end by them")
	case ahead < -clockTolerance:
		e.find(CheckClock, Warning, "the site's clock is %v behind this machine's", -ahead).
			advise("set both clocks by the network (NTP): keys, codes and certificates end by them")
	default:
		e.find(CheckClock, OK, "the same as here, to the minute")
	}
}

// lookAtProtocol says which generation of the wire the site speaks, or why none.
func (e *examination) lookAtProtocol(ctx context.Context) {
	if e.probeErr != nil {
		says, advice := e.speaksNot(ctx)
		e.find(CheckProtocol, Problem, "%s", says).advise(advice)
		e.stop("the site does not offer user API keys there")
		return
	}
	defer e.lookAtName()
	device := "without"
	if e.support.DeviceCode {
		device = "with"
	}
	says := fmt.Sprintf("%s, version %d of the protocol, %s the device flow", e.support.Speaks(), e.support.APIVersion,
		device)
	if e.support.APIVersion < todaysAPI {
		e.find(CheckProtocol, Warning, "%s; today's is version %d", says, todaysAPI).advise("the site should be updated")
		return
	}
	e.find(CheckProtocol, OK, "%s", says)
}

// lookAtName compares the site's address with the one that it has for itself.
func (e *examination) lookAtName() {
	if named := e.support.CallsItself(); named != "" {
		e.find(CheckName, Problem, "the site calls itself %s: logins with a code, and what it links to, lead there", named).
			advise("use " + named + "; if that is wrong, its operator starts it with --url " + e.site)
	}
}
