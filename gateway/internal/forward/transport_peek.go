//go:build linux || darwin

package forward

import (
	"errors"
	"net"
	"syscall"
)

// isOver looks, without reading, whether the other side has closed an idle connection or has sent
// something unasked. A secure connection may get something between two answers, so only its end counts.
func isOver(c net.Conn, secure bool) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	over := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == nil:
			over = n == 0 || !secure
		default:
			over = !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
		}
	})
	return over || err != nil
}
