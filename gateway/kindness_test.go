package gateway

import (
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

// Traefik 4761: net/http guesses the type of an answer that names none. A file
// that a website keeps inert by sending no type and nosniff would run as a page of its origin.
func TestProxyAddsNothingToWhatAnAnswerIs(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"HTML with nosniff": "X-Content-Type-Options: nosniff\r\nContent-Length: 40\r\n\r\n<html><script>alert(document.domain)</sc",
		"a stylesheet":      "Content-Length: 22\r\n\r\nbody { color: black; }",
		"in chunks":         "Transfer-Encoding: chunked\r\n\r\n6\r\n<html>\r\n0\r\n\r\n",
		"nothing in chunks": "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"until it closes":   "Connection: close\r\n\r\n<html>",
		"empty":             "Content-Length: 0\r\n\r\n",
	} {
		up := newUpstream(t, func(head string, c net.Conn) {
			headers, body, _ := strings.Cut(answer, "\r\n\r\n")
			if strings.HasPrefix(head, "HEAD") {
				body = ""
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+headers+"\r\n\r\n"+body)
			if strings.Contains(answer, "Connection: close") {
				c.Close()
			}
		})
		addr := listen(t, newProxy(t, ProxyConfig{Upstream: up.url()}))
		for _, lines := range [][]string{nil, withKey()} {
			for _, method := range []string{"GET", "HEAD"} {
				got := send(t, addr, method+get("/x", lines...)[3:])
				for name2 := range got.header {
					if strings.HasPrefix(name2, "Content-") && name2 != "Content-Length" || name2 == "Content-Length" && !strings.Contains(answer, name2) {
						t.Errorf("%s, %s: the answer has %s: %q", name, method, name2, got.header[name2])
					}
				}
				if got.status != 200 || len(got.header["Date"]) != 1 || got.header["Connection"] != nil {
					t.Errorf("%s, %s: got %+v", name, method, got)
				}
			}
		}
	}
}

func TestProxyKeepsTheTypeAndTheDateOfAnAnswer(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type:\r\nContent-Language: de\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Length: 6\r\n"+
			"Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n\r\n<html>")
	})
	h := send(t, listen(t, newProxy(t, ProxyConfig{Upstream: up.url()})), get("/x")).header
	if !slices.Equal(h["Content-Type"], []string{""}) || h.Get("Content-Language") != "de" || h.Get("Date") != "Sat, 01 Jan 2000 00:00:00 GMT" ||
		h["Connection"] != nil || h["Keep-Alive"] != nil || h["X-Hop"] != nil {
		t.Errorf("got %v", h)
	}
}

// A switch of protocols names the switch in Connection, and nothing of the website's connection.
func TestSwitchOfProtocolsHasOurConnectionHeader(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Hop\r\nUpgrade: websocket\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\n")
	})
	c := dial(t, listen(t, newProxy(t, ProxyConfig{Upstream: up.url()})))
	defer c.Close()
	_, _ = io.WriteString(c, websocket())
	got := receive(c, "GET ")
	if got.status != 101 || !slices.Equal(got.header["Connection"], []string{"Upgrade"}) || got.header["X-Hop"] != nil || got.header["Keep-Alive"] != nil {
		t.Errorf("got %+v", got)
	}
}
