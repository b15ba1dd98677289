package outward

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"userkeys"
)

// maxConnects is how many addresses of one name are tried: a name with a thousand must not make this machine
// connect to a thousand hosts.
const maxConnects = 4

var (
	errInward  = errors.New("it leads inside")
	errTooMany = errors.New("enough addresses of this name were tried")
)

// dial connects to address, the host:port of the URL. The addresses that its name resolves to are checked when
// they are dialled, so that an answer of the DNS that changes between two queries changes nothing.
func (t *transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	target, err := userkeys.WebTarget("http", address)
	if err != nil {
		return nil, fail(ProblemAddress, err)
	}
	lent := t.lends(target)
	var connects, refused atomic.Int32
	d := t.dialer
	d.Control = func(_, at string, _ syscall.RawConn) error { // two goroutines: IPv6 and IPv4
		if !permits(target, at, lent) {
			refused.Add(1)
			return errInward
		}
		if connects.Add(1) > maxConnects {
			return errTooMany
		}
		if t.connecting != nil {
			return t.connecting(at)
		}
		return nil
	}
	conn, err := d.DialContext(ctx, network, target)
	switch {
	case err != nil && connects.Load() == 0 && refused.Load() > 0:
		return nil, fail(ProblemAddress, err)
	case err != nil:
		return nil, failed(err)
	}
	if t.writeTimeout > 0 {
		conn = &hurriedConn{conn, t.writeTimeout}
	}
	if to, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err != nil || !Public(to.Addr()) {
		return &lentConn{conn, func() bool { return t.lends(target) }}, nil
	}
	return conn, nil
}

// lends reports whether the administrator lists target.
func (t *transport) lends(target string) bool {
	return t.inward != nil && slices.ContainsFunc(t.inward(),
		func(entry string) bool { return strings.EqualFold(entry, target) })
}

// permits reports whether at, an ip:port about to be dialled, may be what target resolves to. lent says that
// target is listed.
func permits(target, at string, lent bool) bool {
	to, err := netip.ParseAddrPort(at)
	if err != nil {
		return false
	}
	if Public(to.Addr()) {
		return true
	}
	if literal, err := netip.ParseAddrPort(target); err == nil && literal != to {
		return false // 0.0.0.0 becomes 127.0.0.1 on some systems
	}
	return lent
}

// longAgo is a deadline that has passed by any clock.
var longAgo = time.Unix(1, 0)

// A hurriedConn fails if the other side does not read what is sent to it in time.
type hurriedConn struct {
	net.Conn
	within time.Duration
}

func (c *hurriedConn) Write(b []byte) (int, error) {
	late := time.AfterFunc(c.within, func() { _ = c.SetWriteDeadline(longAgo) })
	defer late.Stop()
	return c.Conn.Write(b)
}

// A lentConn is a connection to a private address, which may be used as long as the address is listed.
type lentConn struct {
	net.Conn
	still func() bool
}

func (c *lentConn) Write(b []byte) (int, error) {
	if !c.still() {
		return 0, fail(ProblemAddress, errInward)
	}
	return c.Conn.Write(b)
}
