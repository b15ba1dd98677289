// Package transport carries requests to one website over HTTP/1.1: in the goroutine that asks, where the website is
// spoken to in plain text and the request is a usual one, and by net/http everywhere else.
package transport

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpguts"
)

// The bounds of both transports.
const (
	dialTimeout = 5 * time.Second
	// keepIdle is how long an idle connection to the website is kept. It is less than the five seconds after
	// which common servers close theirs, so that few requests meet one that is being closed.
	keepIdle  = 3 * time.Second
	maxIdle   = 512       // connections
	maxHeader = 128 << 10 // bytes of an answer's header
)

// Config is what a transport is made of.
type Config struct {
	Upstream      *url.URL      // scheme and host of the website
	HeaderTimeout time.Duration // how long the website may think before it answers; 0: for ever
	// Dial opens a connection to the website; nil: over TCP. See also [Socket].
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	Now  func() time.Time // nil: the system's clock
}

var dialer = &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}

// Socket returns a function that connects to a Unix socket, whatever address it is asked for.
func Socket(path string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", path)
	}
}

// dial opens a connection that counts what goes over it.
func (c *Config) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := c.Dial
	if dial == nil {
		dial = dialer.DialContext
	}
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return newConn(conn, c.Upstream != nil && c.Upstream.Scheme == "https"), nil
}

// Standard returns a transport of net/http that speaks HTTP/1.1 only: websockets need it, and every target can be said
// in it. It asks no proxy of the environment and opens no gzip.
func Standard(cfg Config) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            cfg.dial,
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        keepIdle,
		TLSHandshakeTimeout:    dialTimeout,
		ExpectContinueTimeout:  time.Second,
		ResponseHeaderTimeout:  cfg.HeaderTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// New returns a synchronous transport if the website is spoken to in plain text, its host is one that net/http would
// not change, and the system can tell whether an idle connection is still good; otherwise the one that [Standard]
// returns.
func New(cfg Config) http.RoundTripper {
	host, err := httpguts.PunycodeHostPort(cfg.Upstream.Host)
	if !canLook || cfg.Upstream.Scheme != "http" || err != nil || host != cfg.Upstream.Host {
		return Standard(cfg)
	}
	return newSynchronous(cfg)
}
