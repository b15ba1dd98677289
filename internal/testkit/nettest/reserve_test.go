package nettest

import (
	"net"
	"runtime"
	"testing"
)

// TestReserveAddress holds that a reserved port refuses visitors, can be listened at, and is given to nobody who
// asks for any free port, of which a range is asked for here.
func TestReserveAddress(t *testing.T) {
	addr := ReserveAddress(t)
	if c, err := net.Dial("tcp", addr); err == nil {
		_ = c.Close()
		t.Error("something listens at a reserved address")
	}
	if runtime.GOOS == "linux" {
		for range 20000 {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			_ = l.Close()
			if l.Addr().String() == addr {
				t.Fatal("a reserved port was given away")
			}
		}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}
