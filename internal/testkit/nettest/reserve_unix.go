//go:build unix

package nettest

import (
	"errors"
	"syscall"
)

// reserve binds a socket that never listens. SO_REUSEADDR, which servers set as well, lets one of them
// listen at the same port, while the search for a free port passes over it.
func reserve() (port int, release func(), err error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return 0, nil, err
	}
	syscall.CloseOnExec(socket)
	release = func() { _ = syscall.Close(socket) }
	err = errors.Join(
		syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
		syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}),
	)
	if err != nil {
		release()
		return 0, nil, err
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		release()
		return 0, nil, err
	}
	return name.(*syscall.SockaddrInet4).Port, release, nil
}
