package transport

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
)

// Conn is a connection to the website that counts what went over it.
type Conn struct {
	net.Conn
	secure        bool            // TLS is spoken over it
	raw           syscall.RawConn // nil: it cannot be looked at
	look          func(fd uintptr)
	seen          sight        // what the last look has shown
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

func newConn(conn net.Conn, secure bool) *Conn {
	c := &Conn{Conn: conn, secure: secure}
	c.look = c.lookAt
	if sc, ok := conn.(syscall.Conn); ok && canLook {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	return c
}

// errStale is of an idle connection that no request may use.
var errStale = errors.New("the upstream has closed this idle connection, or has sent something unasked")

// Reuse says that the next request goes over an idle connection, which is then looked at before the first byte of that
// request is written. Otherwise the request may be on its way to nobody: net/http hears only a little later that a
// connection is over.
func (c *Conn) Reuse() { c.idle.Store(true) }

// isStale looks, without reading, whether the other side has closed an idle connection or has sent something unasked.
// A secure connection may get something between two answers, so only its end counts.
func (c *Conn) isStale() bool {
	if c.raw == nil {
		return false
	}
	if err := c.raw.Control(c.look); err != nil {
		return true
	}
	return c.seen == over || c.seen == talking && !c.secure
}

// Write writes and counts. It fails if the connection was idle and is stale.
func (c *Conn) Write(p []byte) (int, error) {
	if c.idle.Load() && c.idle.Swap(false) && c.isStale() {
		return 0, errStale
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
