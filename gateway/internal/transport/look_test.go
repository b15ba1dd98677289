//go:build linux || darwin

package transport

import (
	"io"
	"net"
	"testing"

	"userkeys/internal/testkit/nettest"
)

func TestIsStale(t *testing.T) {
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
			looked := newConn(conn, false)
			if looked.isStale() {
				t.Error("an open connection is stale")
			}
			if _, err := io.WriteString(server, parting); err != nil {
				t.Fatal(err)
			}
			_ = server.Close()
			nettest.UntilReadable(t, conn)
			if !looked.isStale() {
				t.Error("a closed connection is not stale")
			}
			looked.secure = true
			if secure := looked.isStale(); secure != (parting == "") {
				t.Errorf("under TLS: stale is %v", secure)
			}
		})
	}
}
