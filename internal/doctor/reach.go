package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"userkeys"
	"userkeys/client"
)

const (
	probePath       = "/user-api-key/new"
	sessionPath     = "/session/current.json"
	expiresSoon     = 14 * 24 * time.Hour // for certificates and keys
	clockTolerance  = time.Minute
	todaysAPI       = 4
	maxNamesToShow  = 5
	maxHopsOfAProbe = 5
)

// lookAtAddress makes a site of what a person pasted.
func (e *examination) lookAtAddress(context.Context) {
	typed := strings.TrimSpace(e.p.Site)
	site, err := client.ParseSite(typed)
	cut, what := withoutPage(typed)
	if err != nil || what != "" {
		// People paste the page that they are looking at.
		better, betterErr := client.ParseSite(cut)
		if betterErr != nil {
			e.find(CheckAddress, Problem, "give the address of the site's front page, such as https://forum.example",
				"%s", userkeys.AsError(betterErr).Public)
			e.stop("the address of the site is not known")
			return
		}
		e.site = better
		e.find(CheckAddress, Problem, "use "+better, "%s has %s in it, which is not part of a site's address; what "+
			"follows is about %s", typed, what, better)
		return
	}
	e.site = site
	e.find(CheckAddress, OK, "", "%s", site)
}

// pages are the first folders of Discourse's and our pages: what follows them is no site.
var pages = []string{
	"t", "c", "u", "g", "tag", "tags", "latest", "top", "new", "unread", "categories", "login", "signup", "session",
	"posts", "p",
	"admin", "about", "search", "user-api-key", "my", "badges", "notifications", "session.json", "latest.json",
}

// withoutPage takes off what makes an address one of a page, and names it; "" if there is no such thing.
func withoutPage(typed string) (string, string) {
	s := typed
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return typed, ""
	}
	var what []string
	if u.User != nil {
		what = append(what, "a user name")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		what = append(what, "a query or fragment")
	}
	folders := strings.Split(strings.Trim(path.Clean("/"+u.Path), "/"), "/")
	if i := slices.IndexFunc(folders, func(f string) bool { return slices.Contains(pages, f) }); i >= 0 {
		what = append(what, "the path of a page")
		folders = folders[:i]
	}
	site := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/" + strings.Join(folders, "/")}
	return site.String(), strings.Join(what, ", ")
}

// lookAtConnection asks the site for the first time.
func (e *examination) lookAtConnection(ctx context.Context) {
	e.support, e.probeErr = client.Probe(ctx, e.http, e.site)
	for _, h := range e.heard.hops {
		if h.method == http.MethodHead {
			e.probed = append(e.probed, h)
		}
	}
	if len(e.probed) == 0 {
		e.find(CheckConnection, Problem, "", "%s cannot be asked", e.site)
		e.stop("the site cannot be reached")
		return
	}
	last := e.last()
	switch {
	case last.err == nil && last.host() == e.probed[0].host():
		e.find(CheckConnection, OK, "", "%s answers", last.host())
	case last.err == nil:
		e.find(CheckConnection, OK, "", "%s answers, in the end %s", e.probed[0].host(), last.host())
	case isTLSTrouble(last.err):
		e.find(CheckConnection, OK, "", "a server answers at %s", last.host())
	default:
		says, advice := e.unreached(last)
		e.find(CheckConnection, Problem, advice, "%s", says)
		e.stop("the site cannot be reached")
	}
}

func (e *examination) last() hop { return e.probed[len(e.probed)-1] }

// unreached says in words why there was no answer.
func (e *examination) unreached(h hop) (string, string) {
	host := h.host()
	if len(e.probed) > 1 {
		host += " (where " + e.probed[0].host() + " sends on to)"
	}
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(h.err, &dns) && dns.IsNotFound:
		return "nobody knows the name " + h.url.Hostname(), "check how it is spelled, and that this machine is online"
	case errors.As(h.err, &dns):
		return "the name " + h.url.Hostname() + " cannot be looked up now",
			"check that this machine is online; else try again later"
	case speaksNoTLS(h.err):
		return host + " does not speak https; most likely it speaks plain http",
			"write http://" + h.host() + " if the site is on this machine; a site elsewhere needs https, or keys can be read " +
				"on the way"
	case errors.Is(h.err, context.DeadlineExceeded), errors.As(h.err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("%s gave no answer within %v", host, e.p.Patience),
			"check host and port; a firewall that drops what it does not like looks like this too"
	case errors.Is(h.err, context.Canceled):
		return "interrupted", ""
	case errors.Is(h.err, syscall.ECONNREFUSED):
		return "nothing listens at " + host + " (connection refused)", "check the port, and that the site is running"
	case errors.Is(h.err, syscall.EHOSTUNREACH), errors.Is(h.err, syscall.ENETUNREACH):
		return "there is no way from this machine to " + host,
			"check the network of this machine, and whether the site is on a private one"
	case errors.Is(h.err, io.EOF), errors.Is(h.err, io.ErrUnexpectedEOF), errors.Is(h.err, syscall.ECONNRESET):
		return host + " closes the connection without an answer",
			"check the port: another program may listen there, or the site's proxy may be broken"
	}
	return host + " cannot be asked: " + innermost(h.err), "check the address"
}

// innermost says more than the chain around it, which may quote the whole request.
func innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func speaksNoTLS(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record)
}

func isTLSTrouble(err error) bool {
	var untrusted *tls.CertificateVerificationError
	var alert tls.AlertError
	var refused *net.OpError
	return errors.As(err, &untrusted) || errors.As(err, &alert) ||
		errors.As(err, &refused) && (refused.Op == "remote error" || refused.Op == "local error") // tls marks its alerts so
}

// lookAtTLS judges the certificate of the last server that was asked.
func (e *examination) lookAtTLS(context.Context) {
	last := e.last()
	if last.err != nil {
		says, advice := e.untrusted(last)
		e.find(CheckTLS, Problem, advice, "%s", says)
		e.stop("there is no secure connection to the site")
		return
	}
	if last.resp.TLS == nil || len(last.resp.TLS.PeerCertificates) == 0 {
		return // plain http, which is a finding of its own
	}
	ends := last.resp.TLS.PeerCertificates[0].NotAfter
	until := "the certificate is good until " + ends.UTC().Format(time.DateTime) + " UTC"
	if left := ends.Sub(e.p.Now()); left < expiresSoon {
		e.find(CheckTLS, Warning, "the site's administrator should renew it, and see why that does not happen by itself",
			"%s: in %s", until, days(left))
		return
	}
	e.find(CheckTLS, OK, "", "%s", until)
}

// untrusted says what is wrong with a certificate.
func (e *examination) untrusted(h hop) (string, string) {
	var bad *tls.CertificateVerificationError
	if !errors.As(h.err, &bad) || len(bad.UnverifiedCertificates) == 0 {
		return h.host() + " and this program agree on no secure connection: " + innermost(h.err),
			"check the port; a server this old or strict needs its administrator: TLS 1.2 or later is spoken here"
	}
	cert, now := bad.UnverifiedCertificates[0], e.p.Now()
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(bad.Err, &invalid) && invalid.Reason == x509.Expired && now.Before(cert.NotBefore):
		return "the certificate is good only from " + cert.NotBefore.UTC().Format(time.DateTime) + " UTC",
			"check the clock of this machine; if it is right, the site's administrator must look at the certificate"
	case errors.As(bad.Err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate expired at " + cert.NotAfter.UTC().Format(time.DateTime) + " UTC",
			"the site's administrator must renew it; check the clock of this machine too"
	case errors.As(bad.Err, &name):
		return fmt.Sprintf("the certificate is for %s, not for %s (good until %s UTC)", namesOf(cert), h.url.Hostname(),
				cert.NotAfter.UTC().Format(time.DateTime)),
			"use one of those names if it is the site; else its administrator needs a certificate for " + h.url.Hostname()
	case errors.As(bad.Err, &unknown):
		return "this machine does not trust who signed the certificate: " + cert.Issuer.String() + " (good until " +
				cert.NotAfter.UTC().Format(time.DateTime) + " UTC)",
			"the site must send its whole chain of certificates; that of a private authority must be installed on this " +
				"machine (SSL_CERT_FILE names a file of them)"
	}
	return "the certificate is not valid: " + innermost(bad.Err), "the site's administrator must look at it"
}

func namesOf(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "nobody"
	case len(names) > maxNamesToShow:
		names = append(names[:maxNamesToShow], "others")
	}
	return strings.Join(names, ", ")
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
	case e.last().url.Scheme == "https":
		e.find(CheckEncryption, OK, "", "the site sends http on to https")
	case client.PlainHTTP(e.site):
		e.find(CheckEncryption, Warning, "use https; if the site has none, its administrator should give it a certificate",
			"%s is plain http: whoever is on the way can read the key", e.site)
	default:
		e.find(CheckEncryption, OK, "", "plain http, which does not leave this machine")
	}
}

// lookAtRedirects says where the site really is.
func (e *examination) lookAtRedirects(context.Context) {
	last := e.last()
	to := last.redirect()
	switch {
	case e.probeErr == nil && e.support.Site != e.site:
		e.find(CheckRedirects, Warning, "use "+e.support.Site+
			" from the start: a key goes to the address that it was given for and to no other",
			"%s has moved to %s", e.site, e.support.Site)
		e.site = e.support.Site
	case to != nil && last.url.Scheme == "https" && to.Scheme != "https":
		e.find(CheckRedirects, Problem, "the site's administrator must set its own address to https (Discourse: "+
			"force_https; userkeys: --url https://...)",
			"%s sends from https back to http (%s), where others can read the key; nothing follows it there", last.host(),
			withoutQuery(to))
		e.stop("the site cannot be asked over https")
	case to != nil && len(e.probed) >= maxHopsOfAProbe:
		e.find(CheckRedirects, Problem, "the site's administrator must look at its proxy: most often both it and the site "+
			"insist on http or https", "the site redirects in circles (%s)", withoutQuery(to))
		e.stop("the site redirects in circles")
	case len(e.probed) > 1 || to != nil:
		if to == nil {
			to = last.url
		}
		e.find(CheckRedirects, Warning, "", "%s sends on to %s", e.site, withoutQuery(to))
	default:
		e.find(CheckRedirects, OK, "", "none: the site is where it was looked for")
	}
}

func withoutQuery(u *url.URL) string {
	at := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return at.String()
}

// lookAtClock compares the site's clock with ours.
func (e *examination) lookAtClock(context.Context) {
	last := e.last()
	theirs, err := http.ParseTime(last.resp.Header.Get("Date"))
	if err != nil {
		e.find(CheckClock, Skipped, "", "the site does not say what time it is there")
		return
	}
	ahead := theirs.Sub(last.at).Round(time.Second)
	switch {
	case ahead > clockTolerance:
		e.find(CheckClock, Warning, "set both clocks by the network (NTP): keys, codes and certificates end by them",
			"the site's clock is %v ahead of this machine's", ahead)
	case ahead < -clockTolerance:
		e.find(CheckClock, Warning, "set both clocks by the network (NTP): keys, codes and certificates end by them",
			"the site's clock is %v behind this machine's", -ahead)
	default:
		e.find(CheckClock, OK, "", "the same as here, to the minute")
	}
}

// lookAtProtocol says which generation of the wire the site speaks, or why none.
func (e *examination) lookAtProtocol(ctx context.Context) {
	if e.probeErr != nil {
		says, advice := e.speaksNot(ctx)
		e.find(CheckProtocol, Problem, advice, "%s", says)
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
		e.find(CheckProtocol, Warning, "the site should be updated", "%s; today's is version %d", says, todaysAPI)
		return
	}
	e.find(CheckProtocol, OK, "", "%s", says)
}

// lookAtName compares the site's address with the one that it has for itself.
func (e *examination) lookAtName() {
	if named := e.support.CallsItself(); named != "" {
		e.find(CheckName, Problem, "use "+named+"; if that is wrong, its operator starts it with --url "+e.site,
			"the site calls itself %s: logins with a code, and what it links to, lead there", named)
	}
}
