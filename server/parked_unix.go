//go:build unix

package server

import "syscall"

// atEnd reads what there is from a socket that does not block, and tells whether the other side has closed it.
func atEnd(fd uintptr) bool {
	var dropped [512]byte
	for range 8 { // who sends more than that is still there
		switch n, err := syscall.Read(int(fd), dropped[:]); {
		case n > 0 || err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return false
		default: // the end, or a connection that was reset
			return true
		}
	}
	return false
}
