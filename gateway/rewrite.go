package gateway

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"userkeys"
)

// rewrite makes the upstream's request. Headers that only concern this
// connection are gone already, and those that the client named in Connection;
// what is set here stays.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	x, h := exchangeOf(pr.In), pr.Out.Header
	peer, known := peerOf(pr.In)
	trusted := known && isTrusted(peer, p.cfg.TrustedProxies)
	if x.keyed {
		// Of those that came, the key goes; the forwarding three are added below.
		h = stripped(h, trusted, identityHeaders(x.watched.access)+len(forwardHeaders)-1)
		setIdentity(h, x.watched.access)
		pr.Out.Header = h
	} else {
		strip(h, trusted)
		stripCookies(h, p.cfg.SessionCookies)
	}
	forward(h, pr.In, trusted)
	pr.Out.Trailer = nil // a header in disguise
	setTarget(pr.Out.URL, p.cfg.Upstream, x.target)
}

var forwardHeaders = [...]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// forward tells the upstream about this hop. A trusted proxy's word on host
// and protocol stands, and its list of addresses grows by its own.
func forward(h http.Header, in *http.Request, trusted bool) {
	lines := [...]string{"", in.Host, "http"}
	if in.TLS != nil {
		lines[2] = "https"
	}
	if peer, ok := peerOf(in); ok {
		lines[0] = peer.String()
	}
	for i, name := range forwardHeaders {
		// The reverse proxy has removed these three; the request that came in still has them.
		if prior := in.Header[name]; trusted && len(prior) > 0 {
			if lines[i] = strings.Join(prior, ", ") + ", " + lines[i]; i > 0 {
				lines[i] = prior[len(prior)-1]
			}
		}
		if lines[i] != "" {
			h[name] = lines[i : i+1 : i+1]
		} else {
			delete(h, name)
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

// sayable tells whether setTarget can say target. The exceptions begin with
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
	x := exchangeOf(res.Request)
	if res.StatusCode == http.StatusSwitchingProtocols && !x.websocket {
		return errUnaskedSwitch // would give the client a raw connection to the upstream
	}
	stripSetCookies(res.Header, p.cfg.SessionCookies)
	if x.keyed {
		// A cache between us and the app must not give one user's answer to another.
		varyByKey(res.Header)
	}
	return nil
}

var varyKey = []string{userkeys.KeyHeader}

func varyByKey(h http.Header) {
	if _, ok := h["Vary"]; ok {
		h.Add("Vary", userkeys.KeyHeader)
		return
	}
	h["Vary"] = varyKey // shared: the reverse proxy copies it
}
