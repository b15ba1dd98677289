// Package reach has what it takes to reach a site: the address as users paste it, a record of the requests, and why one
// got no answer.
package reach

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"userkeys"
)

// A Hop is one request and its answer.
type Hop struct {
	Method string
	URL    *url.URL
	Resp   *http.Response // without its body; nil if there was no answer
	Err    error
	At     time.Time // when it ended
	Keyed  bool      // the request carried a user API key
}

// Host returns host and port of the request.
func (h Hop) Host() string { return h.URL.Host }

// Redirect returns the address that the answer redirects to; nil if it does not redirect.
func (h Hop) Redirect() *url.URL {
	if h.Resp == nil || h.Resp.StatusCode < 300 || h.Resp.StatusCode > 399 {
		return nil
	}
	to, err := h.Resp.Location()
	if err != nil {
		return nil
	}
	return to
}

// MaxAnswer bounds what is read of one answer, in bytes.
const MaxAnswer = 1 << 20

// A Recorder is a transport that keeps every request and its answer, and bounds how long an answer takes and how
// much of it is read. It keeps no request headers.
type Recorder struct {
	Base     http.RoundTripper
	Asked    func(method, address string) // is called before each request, with the address without its query; may be nil
	Now      func() time.Time
	Patience time.Duration // for one request
	Hops     []Hop
}

// RoundTrip implements [http.RoundTripper].
func (c *Recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.Asked != nil {
		at := url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: r.URL.Path}
		c.Asked(r.Method, at.String())
	}
	ctx, cancel := context.WithTimeout(r.Context(), c.Patience)
	resp, err := c.Base.RoundTrip(r.WithContext(ctx))
	h := Hop{Method: r.Method, URL: r.URL, Err: err, At: c.Now(), Keyed: r.Header.Get(userkeys.KeyHeader) != ""}
	if err != nil {
		cancel()
	} else {
		kept := *resp
		kept.Body, kept.Request = nil, &http.Request{Method: r.Method, URL: r.URL}
		h.Resp = &kept
		resp.Body = &boundedBody{io.LimitReader(resp.Body, MaxAnswer), resp.Body, cancel}
	}
	c.Hops = append(c.Hops, h)
	return resp, err
}

// A boundedBody is the beginning of a body, as far as it comes in time.
type boundedBody struct {
	io.Reader
	body   io.Closer
	cancel context.CancelFunc
}

// Close implements [io.Closer].
func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.body.Close()
}

// Lists reports whether a header that is a list has a word, in any case. * stands for any word except where credentials
// are sent along, and keys are none.
func Lists(h http.Header, name, word string) bool {
	for _, line := range h.Values(name) {
		for w := range strings.SplitSeq(line, ",") {
			if w = strings.TrimSpace(w); w == "*" || strings.EqualFold(w, word) {
				return true
			}
		}
	}
	return false
}
