package gateway

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// rewrite makes the upstream's request. Its headers are built anew: first what
// may pass of the client's, without those that concern its connection and
// those that it named in Connection; then ours, which so stay.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	x := proxiedOf(pr.In)
	peer, known := peerOf(pr.In)
	trusted := known && isTrusted(peer, p.cfg.ClientIPs.trusted)
	more := len(forwardHeaders)
	if x.presented.given {
		more += identityHeaders(x.monitored.access)
	}
	ours := func(values []string) bool { return p.isAdminKey(x.in.Context(), values) }
	h := strip{trusted, x.presented.given, ours}.passing(x.in.Header, more)
	if x.presented.given {
		setIdentity(h, x.monitored.access)
	} else {
		stripCookies(h, p.cfg.SessionCookies)
	}
	p.forward(h, x.in, peer, trusted)
	if hasToken(x.in.Header["Te"], "trailers") {
		h["Te"] = teTrailers
	}
	if x.websocket {
		h["Connection"], h["Upgrade"] = connectionUpgrade, upgradeWebsocket
	}
	pr.Out.Header = h
	pr.Out.Trailer = nil // a header in disguise
	setTarget(pr.Out.URL, p.cfg.Upstream, x.target)
}

// isAdminKey reports whether one of the values of a header is an admin API key of this site. Keys of the
// website's own may stand in the same header.
func (p *Proxy) isAdminKey(ctx context.Context, values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return p.cfg.Checker.IsAdminKey(ctx, v) })
}

// Lines that are always the same. The transport only reads them.
var (
	teTrailers        = []string{"trailers"}
	connectionUpgrade = []string{"Upgrade"}
	upgradeWebsocket  = []string{"websocket"}
)

var forwardHeaders = [...]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// forward tells the upstream about this hop. A trusted proxy's word on host
// and protocol stands, and its list of addresses grows by its own. Of the client's address only that
// header is believed which the trusted proxies are known to send.
func (p *Proxy) forward(h http.Header, in *http.Request, peer netip.Addr, trusted bool) {
	lines := [...]string{"", in.Host, "http"}
	switch {
	case in.TLS != nil:
		lines[2] = "https"
	case p.cfg.Scheme != "":
		lines[2] = p.cfg.Scheme
	}
	if peer.IsValid() {
		lines[0] = peer.String()
	}
	for i, name := range forwardHeaders {
		prior := in.Header[name]
		switch {
		case !trusted:
		case i == 0 && p.cfg.ClientIPs.header != forwardedForHeader:
			if client := p.cfg.ClientIPs.Of(in); client != lines[0] {
				lines[0] = client + ", " + lines[0]
			}
		case i == 0 && len(prior) > 0:
			lines[0] = strings.Join(prior, ", ") + ", " + lines[0]
		case len(prior) > 0:
			lines[i] = prior[len(prior)-1]
		}
		if lines[i] != "" {
			h[name] = lines[i : i+1 : i+1]
		}
	}
}

// setTarget makes u say target byte for byte on the request line.
func setTarget(u, upstream *url.URL, target string) {
	if strings.HasPrefix(target, "//") {
		// As opaque it would become an absolute address. The path and query that
		// the server read say the same bytes again: see sayable.
		u.Scheme, u.Host = upstream.Scheme, upstream.Host
		u.RawPath, u.RawQuery, _ = strings.Cut(target, "?")
		return
	}
	*u = url.URL{Scheme: upstream.Scheme, Host: upstream.Host, Opaque: target}
}

// sayable reports whether setTarget can say target. The exceptions begin with
// two slashes and have bytes that no request target may have.
func sayable(u *url.URL, target string) bool {
	if !strings.HasPrefix(target, "//") {
		return true
	}
	path, query, _ := strings.Cut(target, "?")
	try := *u
	try.RawPath, try.RawQuery = path, query
	return try.RequestURI() == target
}

// modifyResponse keeps from the client what an upstream may not say.
func (p *Proxy) modifyResponse(res *http.Response) error {
	x := proxiedOf(res.Request)
	x.answer.awaited = false
	if res.StatusCode == http.StatusSwitchingProtocols && !x.websocket {
		return errUnaskedSwitch // would give the client a raw connection to the upstream
	}
	if res.StatusCode == http.StatusNotFound && x.fallback != nil {
		return errNotThere
	}
	stripSetCookies(res.Header, p.cfg.SessionCookies)
	if x.presented.given {
		keepPrivate(res.Header)
		yieldCORS(x.answer.Header(), res.Header)
	} else if p.cfg.VaryByKey {
		varyByKey(res.Header)
	}
	if x.presented.inQuery {
		// Links in a feed must not tell other sites the address that it was read at.
		res.Header.Set("Referrer-Policy", "no-referrer")
	}
	p.asReceived(x, res)
	if res.StatusCode != http.StatusSwitchingProtocols && !isEventStream(res.Header) {
		handOver(x.answer.Header(), res)
	}
	return nil
}

// handOver moves an answer's headers to the client's. The reverse proxy would copy
// them one by one; it needs them itself only for protocol switches and event streams.
func handOver(to http.Header, res *http.Response) {
	for name, lines := range res.Header {
		if prior, ok := to[name]; ok {
			lines = slices.Concat(prior, lines)
		}
		to[name] = lines
	}
	res.Header = nil
}
