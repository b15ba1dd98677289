package sitecmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"userkeys/internal/logs"
	"userkeys/internal/sitecmd/sitedata"
)

// listenOn listens on the address of an option, such as 127.0.0.1:8080, or on its Unix socket, such as
// unix:/run/userkeys/site.sock.
func listenOn(option, address string) (net.Listener, error) {
	listen := func() (net.Listener, error) { return net.Listen("tcp", address) }
	if socket, ok := sitedata.UnixSocket(address); ok {
		listen = func() (net.Listener, error) { return listenUnix(socket) }
	} else if strings.Contains(address, "/") { // a socket's path without unix: or a URL
		return nil, fmt.Errorf("%s: %q is no address such as 127.0.0.1:8080 or unix:/run/userkeys.sock",
			option, address)
	}
	ln, err := listen()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", option, err)
	}
	return ln, nil
}

// socketMode lets the owner and the group of a socket connect to it.
const socketMode = 0o660

// listenUnix listens on a Unix socket, which is removed when the listener is closed. A socket on which nobody listens
// any more, as a process leaves it that was killed, is replaced. Any other file stays where it is.
func listenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("%s is there already and is no socket", path)
		}
		conn, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			_ = conn.Close() // it only shows that somebody listens
			return nil, fmt.Errorf("another program listens on %s", path)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("%s may be in use: %w", path, err)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return &unixListener{ln}, nil
}

// unixListener gives connections whose client has no address. A client can bind its end to a path of any name, such as
// 10.0.0.1:80, which must not be read as an address.
type unixListener struct{ net.Listener }

// Accept waits for the next connection.
func (l *unixListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if u, ok := c.(*net.UnixConn); ok {
		c = unixConn{u}
	}
	return c, err
}

type unixConn struct{ *net.UnixConn }

// RemoteAddr says that the client has no address.
func (unixConn) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "@", Net: "unix"} }

// loudListener logs why connections cannot be accepted, such as too many open files.
type loudListener struct {
	net.Listener
	failed *logs.Errors
}

// Accept waits for the next connection.
func (l *loudListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		l.failed.Write(context.Background(), "a connection could not be accepted", slog.Any("error", err))
	}
	return c, err
}
