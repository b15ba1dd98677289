//go:build linux || darwin

package transport

import (
	"io"
	"net"
	"syscall"
	"testing"
)

// untilReadable waits until there is something to read from c, or its end.
func untilReadable(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return err != syscall.EAGAIN
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestIsOver(t *testing.T) {
	t.Parallel()
	for name, parting := range map[string]string{"closed": "", "closed with a word": "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			looked := newConn(conn)
			if looked.isOver() {
				t.Error("an open connection is over")
			}
			if _, err := io.WriteString(server, parting); err != nil {
				t.Fatal(err)
			}
			_ = server.Close()
			untilReadable(t, conn)
			if !looked.isOver() {
				t.Error("a closed connection is not over")
			}
			looked.secure = true
			if secure := looked.isOver(); secure != (parting == "") {
				t.Errorf("under TLS: over is %v", secure)
			}
		})
	}
}
