// Package transport carries requests to one website over HTTP/1.1: in the goroutine that asks, where the website is
// spoken to in plain text and the request is a usual one, and by net/http everywhere else.
package transport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"
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

// dial opens a connection that counts.
func (c *Config) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := c.Dial
	if dial == nil {
		dial = dialer.DialContext
	}
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return newConn(conn), nil
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

// New returns a synchronous transport if the website is spoken to in plain text and the system can tell whether an
// idle connection is still good; otherwise the one that [Standard] returns.
func New(cfg Config) http.RoundTripper {
	if !canLook || cfg.Upstream.Scheme != "http" {
		return Standard(cfg)
	}
	return newSynchronous(cfg)
}

// Conn is a connection to the website that counts what went over it.
type Conn struct {
	net.Conn
	raw           syscall.RawConn // nil: it cannot be looked at
	seen          sight           // what the last look has shown
	look          func(fd uintptr)
	secure        bool         // TLS is spoken over it
	idle          atomic.Bool  // until the first write of the next request
	written, read atomic.Int64 // bytes
}

// sight is what a look at an idle connection shows.
type sight int

const (
	silent  sight = iota // open, and nothing has come
	talking              // something has come unasked
	over                 // the other side has closed it
)

func newConn(conn net.Conn) *Conn {
	c := &Conn{Conn: conn}
	c.look = c.lookAt
	if sc, ok := conn.(syscall.Conn); ok && canLook {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	return c
}

// errOver is of a connection that the website has closed while it was idle.
var errOver = errors.New("the upstream has closed this connection")

// Reuse says that the next request goes over an idle connection; secure, that TLS is spoken over it. The connection
// is looked at before the first byte of that request is written. Otherwise the request may be on its way to nobody:
// net/http hears only a little later that a connection is over.
func (c *Conn) Reuse(secure bool) {
	c.secure = secure
	c.idle.Store(true)
}

// isOver looks, without reading, whether the other side has closed an idle connection or has sent
// something unasked. A secure connection may get something between two answers, so only its end counts.
func (c *Conn) isOver() bool {
	if c.raw == nil {
		return false
	}
	if err := c.raw.Control(c.look); err != nil {
		return true
	}
	return c.seen == over || c.seen == talking && !c.secure
}

// Write writes and counts. It fails if the connection was idle and is over.
func (c *Conn) Write(p []byte) (int, error) {
	if c.idle.Load() && c.idle.Swap(false) && c.isOver() {
		return 0, errOver
	}
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// Read reads and counts.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// Written returns how many bytes were written.
func (c *Conn) Written() int64 { return c.written.Load() }

// Received returns how many bytes were read.
func (c *Conn) Received() int64 { return c.read.Load() }

// CloseWrite tells a websocket's upstream that nothing more comes.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
