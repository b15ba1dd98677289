package gateway

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"userkeys/gateway/internal/headers"
	"userkeys/gateway/internal/request"
)

// upstreamHeader makes the headers of the upstream's request. They are built anew: first what
// may pass of the client's, without those that concern its connection and
// those that it named in Connection; then ours, which so stay.
func (x *proxied) upstreamHeader() http.Header {
	p := x.proxy
	peer, trusted := p.cfg.ClientIPs.Peer(x.In)
	more := len(forwardHeaders)
	if x.presented.Given {
		more += countIdentity(x.monitored.Access()) + len(p.cfg.IdentityHeaders)
	}
	ours := func(values []string) bool { return p.isAdminKey(x.In.Context(), values) }
	h := headers.Strip{
		Table: p.headers, Trusted: trusted, Keyed: x.presented.Given, Carried: x.presented.InAuthorization, Ours: ours,
	}.Passing(x.In.Header, more)
	if x.presented.Given {
		setIdentity(h, x.monitored.Access(), p.cfg.IdentityHeaders)
	} else {
		headers.StripCookies(h, p.cfg.SessionCookies)
	}
	p.forwarded(h, x.In, peer, trusted)
	return h
}

// isAdminKey reports whether one of the values of a header is an admin API key of this site. Keys of the
// website's own may stand in the same header.
func (p *Proxy) isAdminKey(ctx context.Context, values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return p.cfg.Checker.IsAdminKey(ctx, v) })
}

var forwardHeaders = [...]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// forwarded tells the upstream about this hop. A trusted proxy's word on host
// and protocol stands, and its list of addresses grows by its own. Of the client's address only that
// header is believed which the trusted proxies are known to send.
func (p *Proxy) forwarded(h http.Header, in *http.Request, peer netip.Addr, trusted bool) {
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
		case i == 0 && !p.cfg.ClientIPs.ReadsForwardedFor():
			if client := p.cfg.ClientIPs.Of(in); client != lines[0] && client != in.RemoteAddr {
				lines[0] = joined(client, lines[0])
			}
		case i == 0 && len(prior) > 0:
			lines[0] = joined(strings.Join(prior, ", "), lines[0])
		case len(prior) > 0:
			lines[i] = prior[len(prior)-1]
		}
		if lines[i] != "" {
			h[name] = lines[i : i+1 : i+1]
		}
	}
}

// joined adds a hop to a list of addresses. A hop over a Unix socket has none.
func joined(list, peer string) string {
	if peer == "" {
		return list
	}
	return list + ", " + peer
}

// Receive keeps from the client, and from caches on the way to it, what is not for them.
func (x *proxied) Receive(ours http.Header, res *http.Response) error {
	if res.StatusCode == http.StatusNotFound && x.fallback != nil {
		return errNotThere
	}
	if x.presented.Given {
		headers.KeepPrivate(res.Header, x.presented.CarriedIn())
		headers.YieldCORS(ours, res.Header)
	} else if x.proxy.cfg.VaryByKey {
		keyHeader := ""
		if len(x.proxy.cfg.Checker.Edge().Carriers) > 0 {
			keyHeader = request.AuthorizationHeader
		}
		headers.VaryByKey(res.Header, keyHeader)
	}
	if x.presented.InQuery {
		// Links in a feed must not tell other sites the address that it was read at.
		res.Header.Set("Referrer-Policy", "no-referrer")
	}
	return nil
}
