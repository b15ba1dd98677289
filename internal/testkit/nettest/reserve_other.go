//go:build !unix

package nettest

import "net"

// reserve finds a free port, which another program may take until it is used.
func reserve() (port int, release func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	return listener.Addr().(*net.TCPAddr).Port, func() {}, listener.Close()
}
