//go:build linux || darwin

package gateway

import (
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"userkeys/internal/testkit/nettest"
)

// SyscallConn shows the connection below.
func (a *ailing) SyscallConn() (syscall.RawConn, error) { return a.Conn.(syscall.Conn).SyscallConn() }

// The end of an idle connection that has come, but that the transport has not read
// yet, is seen before a byte of the next request is written.
func TestIdleConnectionIsLookedAtBeforeUse(t *testing.T) {
	t.Parallel()
	for _, standard := range []bool{false, true} {
		up := newUpstream(t, func(head string, c net.Conn) {
			_, _ = io.WriteString(c, okReply)
			if strings.Contains(head, "/first") {
				_ = c.Close()
			}
		})
		first := &ailing{mute: true, standard: standard, ails: func(a *ailing, p []byte) (int, error) { return a.Conn.Write(p) }}
		addr := ailingOnce(t, up, first)
		nettest.UntilReadable(t, first.Conn)
		got := send(t, addr, post("/x", "body"))
		if lines := requestLines(up); got.body != "ok" || lines != "GET /first, POST /x" {
			t.Errorf("net/http %v: got %+v, the upstream %q", standard, got, lines)
		}
	}
}
