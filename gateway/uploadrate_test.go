package gateway

import (
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// upload sends a body in pieces with a pause before each, until it is sent or the
// connection ends, and reads the answer.
func upload(c net.Conn, pieces int, piece string, pause time.Duration, lines ...string) reply {
	request := "POST" + get("/x", append(lines, "Content-Length: "+strconv.Itoa(pieces*len(piece)))...)[3:]
	go func() {
		_, err := io.WriteString(c, request)
		for i := 0; i < pieces && err == nil; i++ {
			time.Sleep(pause)
			_, err = io.WriteString(c, piece)
		}
	}()
	return receive(c, request)
}

func TestUploadThatIsTooSlowIsRefused(t *testing.T) {
	t.Parallel()
	second := time.Second
	for _, tt := range []struct {
		name   string
		rate   int
		pieces int
		piece  string
		pause  time.Duration
		want   int
		after  time.Duration
	}{
		{"a byte a second", 0, 300, "x", second, 408, 60 * second},
		{"63 bytes a second", 0, 300, strings.Repeat("x", 63), second, 408, 60 * second},
		{"66 bytes a second", 0, 300, strings.Repeat("x", 66), second, 200, 300 * second},
		{"a piece every 50 seconds", 0, 5, strings.Repeat("x", 5000), 50 * second, 200, 250 * second},
		{"less than a minute", 0, 59, "x", second, 200, 59 * second},
		{"another rate", 1, 300, "xx", second, 200, 300 * second},
		{"no rate", -1, 10, "x", 50 * second, 200, 500 * second},
		{"no rate, but a pause that is too long", -1, 10, "x", 61 * second, 408, 60 * second},
	} {
		for who, lines := range map[string][]string{"stranger": nil, "key": withKey()} {
			t.Run(tt.name+", "+who, func(t *testing.T) {
				t.Parallel()
				inMemory(t, ProxyConfig{MinUploadRate: tt.rate}, nil, func(t *testing.T, connect func() net.Conn) {
					began := time.Now()
					got := upload(connect(), tt.pieces, tt.piece, tt.pause, lines...)
					if d := time.Since(began); got.status != tt.want || d.Round(second) != tt.after {
						t.Errorf("got %+v after %v, want %d after %v", got, d, tt.want, tt.after)
					}
				})
			})
		}
	}
}

// A client that was fast enough in one minute must be so in the next.
func TestUploadIsMeasuredAgainEachMinute(t *testing.T) {
	t.Parallel()
	inMemory(t, ProxyConfig{}, nil, func(t *testing.T, connect func() net.Conn) {
		c := connect()
		request := "POST" + get("/x", "Content-Length: 100000")[3:]
		go func() {
			_, err := io.WriteString(c, request+strings.Repeat("x", 50000))
			for err == nil {
				time.Sleep(time.Second)
				_, err = io.WriteString(c, "x")
			}
		}()
		began := time.Now()
		got := receive(c, request)
		if d := time.Since(began); got.status != 408 || d.Round(time.Second) != 2*time.Minute {
			t.Errorf("got %+v after %v", got, d)
		}
	})
}
