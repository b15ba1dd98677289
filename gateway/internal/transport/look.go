//go:build linux || darwin

package transport

import (
	"errors"
	"syscall"
)

// canLook is whether this system shows what has come over a connection without reading it.
const canLook = true

// lookAt sets what is seen of the connection. Its closing counts as its end, and so does an error.
func (c *Conn) lookAt(fd uintptr) {
	var b [1]byte
	n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	switch {
	case err == nil && n > 0:
		c.seen = talking
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		c.seen = silent
	default:
		c.seen = over
	}
}
