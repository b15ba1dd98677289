package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"userkeys"
)

// A Transport adds a key to every request to its site. Requests to other hosts, ports or schemes, or out of the
// site's folder, are sent without the key; so are redirects to them.
//
// With MaxWait it also waits for rate limits and outages of the site, as far as that is safe. A request that was
// refused because of a rate limit (429) is sent again after the time that the site says. A request that only reads
// is sent again after a 502, 503 or 504, and once if there was no answer. A request that may have changed
// something is sent again only after a 429. If the wait would take longer than MaxWait, such as until the end of a
// day's limit, the refusal is returned at once.
type Transport struct {
	Credential *Credential
	Base       http.RoundTripper // nil: http.DefaultTransport
	MaxWait    time.Duration     // of all waits of one request together; 0: no waits and no repetition
}

// usualPause is how long to wait for a site that has an outage and does not say for how long.
const usualPause = time.Second

// RoundTrip sends a copy of r with the key. It implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.Credential == nil {
		if r.Body != nil {
			_ = r.Body.Close() // the contract of RoundTripper: closed also on errors
		}
		return nil, userkeys.Errorf(userkeys.NotLoggedIn, "there is no key to call with")
	}
	left := t.MaxWait
	for again := false; ; again = true {
		resp, err := t.send(r, again)
		if !OnSite(t.Credential.Site, r.URL) || !replayable(r) {
			return resp, err
		}
		pause := t.pauseAfter(r, resp, err, again)
		if pause <= 0 || pause > left || r.Context().Err() != nil {
			return resp, err
		}
		if resp != nil {
			_ = resp.Body.Close() // the answer that replaces it is what counts
		}
		if err := sleep(r.Context(), pause); err != nil {
			return nil, err
		}
		left -= pause
	}
}

// send sends a copy of r. If again is true the copy gets a body of its own.
func (t *Transport) send(r *http.Request, again bool) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	body := r.Body
	if again && r.GetBody != nil {
		var err error
		if body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	r = r.Clone(r.Context())
	r.Body = body
	if r.Header == nil {
		r.Header = http.Header{}
	}
	setMissing(r.Header, "User-Agent", userAgent)
	r.Header.Del(userkeys.KeyHeader)
	r.Header.Del(userkeys.ClientIDHeader)
	if OnSite(t.Credential.Site, r.URL) {
		r.Header.Set(userkeys.KeyHeader, t.Credential.Key.Reveal())
		if t.Credential.ClientID != "" {
			r.Header.Set(userkeys.ClientIDHeader, t.Credential.ClientID)
		}
	}
	resp, err := base.RoundTrip(r)
	if err == nil && resp.StatusCode >= 400 {
		t.hideKey(resp)
	}
	return resp, err
}

// hideKey removes the key from a refusal that repeats the request, because refusals are shown and logged.
func (t *Transport) hideKey(resp *http.Response) {
	key := t.Credential.Key.Reveal()
	if key == "" {
		return
	}
	const hidden = "[key]"
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = broken{err}
	}
	body = bytes.ReplaceAll(body, []byte(key), []byte(hidden))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), rest), resp.Body}
	resp.ContentLength = -1
	resp.Header.Del("Content-Length")
	resp.Status = strings.ReplaceAll(resp.Status, key, hidden)
	for _, values := range resp.Header {
		for i := range values {
			values[i] = strings.ReplaceAll(values[i], key, hidden)
		}
	}
}

// broken is the rest of a body whose connection broke.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// replayable reports whether r can be sent twice.
func replayable(r *http.Request) bool {
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
}

// pauseAfter returns how long to wait before r is sent again; 0 if it must not be.
func (t *Transport) pauseAfter(r *http.Request, resp *http.Response, err error, again bool) time.Duration {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == ""
	switch {
	case err != nil && reads && !again:
		return usualPause
	case err != nil:
		return 0
	case resp.StatusCode == http.StatusTooManyRequests:
		return peekRetryAfter(resp)
	case reads && (resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusBadGateway ||
		resp.StatusCode == http.StatusGatewayTimeout):
		if said := retryAfter(resp.Header); said > 0 {
			return said
		}
		if !again {
			return usualPause
		}
	}
	return 0
}

// peekRetryAfter reads how long a rate limit lasts, and leaves the body to be read again.
func peekRetryAfter(resp *http.Response) time.Duration {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes)) // what came is enough
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
	return ParseError(resp.StatusCode, resp.Header, body).RetryAfter
}

// sleep waits for d, and returns the error of ctx if it ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
