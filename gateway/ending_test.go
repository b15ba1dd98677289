package gateway

import (
	"io"
	"net"
	"testing"
	"time"
)

// after returns a reply that sends each piece once its pause has passed.
func after(pieces ...any) func(string, net.Conn) {
	return func(_ string, c net.Conn) {
		for _, p := range pieces {
			switch p := p.(type) {
			case time.Duration:
				time.Sleep(p)
			case string:
				_, _ = io.WriteString(c, p)
			}
		}
	}
}

// A client has StallTimeout to take each piece. The end of an answer is a piece
// too, also when the website was silent for longer before it.
func TestAnswerThatEndsAfterALongSilenceIsWhole(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string]string{
		"event stream": "Content-Type: text/event-stream\r\n", "JSON": "Content-Type: application/json\r\n",
		"trailers": "Trailer: X-Sum\r\n",
	} {
		end := "0\r\n\r\n"
		if name == "trailers" {
			end = "0\r\nX-Sum: 5\r\n\r\n"
		}
		for who, lines := range map[string][]string{"stranger": nil, "key": withKey()} {
			t.Run(name+", "+who, func(t *testing.T) {
				t.Parallel()
				reply := after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"+headers+"\r\n5\r\npiece\r\n", 68*time.Second, end)
				inMemory(t, ProxyConfig{}, reply, func(t *testing.T, connect func() net.Conn) {
					if got := requestOn(connect(), get("/x", lines...)); got.status != 200 || got.body != "piece" || got.err != nil {
						t.Errorf("got %+v", got)
					}
				})
			})
		}
	}
}

// requestOn sends a request on an open connection and reads its answer.
func requestOn(c net.Conn, request string) reply {
	if _, err := io.WriteString(c, request); err != nil {
		return reply{err: err}
	}
	return receive(c, request)
}
