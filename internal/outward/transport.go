package outward

import (
	"cmp"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
	"unicode"

	"userkeys"
)

// transport checks the address of each request, then each connection (see dial), and hides the details of errors.
type transport struct {
	base    *http.Transport
	dialer  net.Dialer
	inward  func() []string
	maxBody int64

	writeTimeout time.Duration // 0: none

	connecting func(address string) error // tests: stands for the connecting that was permitted
}

func newBase(t *transport, c Config) *http.Transport {
	return &http.Transport{
		Proxy:       nil, // a proxy would dial, and dial anywhere (SS15)
		DialContext: t.dial, ForceAttemptHTTP2: !c.OnlyHTTP1,
		TLSHandshakeTimeout: orUsual(c.DialTimeout, usualDialTimeout),
		MaxIdleConns:        maxIdle, MaxIdleConnsPerHost: maxIdlePerHost, IdleConnTimeout: idleTimeout,
		MaxResponseHeaderBytes: cmp.Or(c.MaxHeader, maxHeaderBytes), ExpectContinueTimeout: time.Second,
		// nothing, compressed without end, would keep us at work without reaching the bound
		DisableCompression: t.maxBody >= 0,
	}
}

// RoundTrip sends a request. Every error is a failure, also one of reading the answer.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := judgeURL(r); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	if len(r.Header["User-Agent"]) == 0 {
		r = r.Clone(r.Context())
		r.Header.Set("User-Agent", userAgent)
	}
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, failed(err)
	}
	if t.maxBody >= 0 {
		resp.Body = http.MaxBytesReader(nil, resp.Body, t.maxBody)
	}
	resp.Body = &answer{resp.Body}
	return resp, nil
}

// CloseIdleConnections implements the method that [http.Client.CloseIdleConnections] looks for.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// judgeURL refuses an address that does not have one host and port in the one spelling that all programs read
// alike. A name in other scripts is left to net/http, which spells it in ASCII; dial checks the result.
func judgeURL(r *http.Request) error {
	foreign := false
	for _, c := range r.URL.Host {
		if c < 0x80 {
			continue
		}
		// digits and dots of all kinds become ASCII ones (SS6)
		if foreign = true; !unicode.IsLetter(c) && !unicode.IsMark(c) {
			return fail(ProblemAddress, errors.New("its host has a character that may stand for another"))
		}
	}
	if foreign {
		return nil
	}
	if _, err := userkeys.WebTarget(r.URL.Scheme, r.URL.Host); err != nil {
		return fail(ProblemAddress, err)
	}
	return nil
}

// answer is a body whose errors are failures.
type answer struct{ io.ReadCloser }

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = failed(err)
	}
	return n, err
}
