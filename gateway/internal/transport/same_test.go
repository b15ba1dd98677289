package transport

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fragments are what answers are made of, good and bad.
var fragments = []string{
	"HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 204 No Content\r\n", "HTTP/1.1 304 Not Modified\r\n", "HTTP/1.1 404 \r\n", "HTTP/1.1 099 x\r\n",
	"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/2.0 200 OK\r\n", "HTTP/1.1 20 OK\r\n", "HTTP/1.1 -20\r\n", "ICY 200 OK\r\n",
	"Content-Length: 2\r\n", "Content-Length: 5\r\n", "Content-Length: 0\r\n", "Content-Length: -1\r\n", "Content-Length: 5, 5\r\n", "Content-Length: +5\r\n",
	"Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: identity\r\n", "Connection: close\r\n", "Connection: keep-alive\r\n",
	"Trailer: X-Sum\r\n", "Trailer: Content-Length\r\n", "X-A: 1\r\n", "X-A: 2\r\n", "X a: 1\r\n", "X-A : 1\r\n", ": 1\r\n", "X-Folded: a\r\n b\r\n", "X-Nul: \x00\r\n", "no colon\r\n",
	"Content-Type: text/plain\r\n", "Content-Encoding: gzip\r\n", "Set-Cookie: a=b\r\n", "Pragma: no-cache\r\n",
	"\r\n", "\r\n", "\r\n", "\n", "\r", "ok", "hello", "2\r\nok\r\n", "5\r\nhello\r\n", "0\r\n\r\n", "0\r\nX-Sum: 7\r\n\r\n", "0\r\nX-Sum 7\r\n\r\n",
	"2;ext=1\r\nok\r\n", "zz\r\n", "7fffffffffffffff\r\n", "ffffffffffffffffff\r\n", "\x00", "", strings.Repeat("x", 5000), "X-Long: " + strings.Repeat("y", 5000) + "\r\n",
}

// whole are answers as they should be, to which something is done.
var whole = []string{
	okAnswer,
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n",
	"HTTP/1.1 200 OK\r\n\r\nuntil the end",
	"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okAnswer,
	"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("0123456789abcdefgh", 500),
}

// randomAnswer is the bytes that a website answers with before it closes the connection.
func randomAnswer(rng *rand.Rand) string {
	var b strings.Builder
	if rng.IntN(3) == 0 {
		for range rng.IntN(12) {
			b.WriteString(fragments[rng.IntN(len(fragments))])
		}
		return b.String()
	}
	s := whole[rng.IntN(len(whole))]
	for range rng.IntN(3) {
		at := rng.IntN(len(s) + 1)
		switch rng.IntN(5) {
		case 0:
			s = s[:at] // breaks off
		case 1:
			s = s[:at] + fragments[rng.IntN(len(fragments))] + s[at:]
		case 2:
			s = s[:at] + string(rune(rng.IntN(256))) + s[min(at+1, len(s)):]
		case 3:
			if end := strings.Index(s, "\r\n"); end >= 0 { // a header more
				s = s[:end+2] + fragments[12+rng.IntN(25)] + s[end+2:]
			}
		case 4:
			s += whole[rng.IntN(len(whole))] // says more than it was asked
		}
	}
	return s
}

// sameAnswer has a website send the same bytes to both transports, and compares what they return. There are two
// exceptions: after a switch of protocols ours returns an error; and errors have other words.
func sameAnswer(t *testing.T, method, sent string, splits []int) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s") // there are more of these than of ports
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	u := newUpstreamOn(t, l, func(_ int, c net.Conn, br *bufio.Reader) {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		rest := sent
		for _, n := range splits {
			n = min(n, len(rest))
			if _, err := io.WriteString(c, rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		_, _ = io.WriteString(c, rest)
	})
	var got [2]answer
	var errs [2]error
	u.url.Host = "localhost"
	cfg := u.config()
	cfg.Dial = Socket(socket)
	ours, theirs := direct(t, cfg), Standard(cfg)
	defer theirs.CloseIdleConnections()
	for i, tr := range []http.RoundTripper{ours, theirs} {
		var body io.Reader
		if method == "POST" {
			body = strings.NewReader("body")
		}
		got[i], errs[i] = ask(tr, u.request(t, method, body))
	}
	if strings.HasPrefix(got[1].Status, "101") && got[0].Failed == "request" {
		return
	}
	if diff := cmp.Diff(got[1], got[0]); diff != "" {
		t.Fatalf("%s, answered by %q in pieces of %v (-net/http +ours):\n%s\nerrors: net/http %v, ours %v", method, sent, splits, diff, errs[1], errs[0])
	}
	if ours.idleCount() > 1 {
		t.Fatalf("%d idle connections", ours.idleCount())
	}
}

var methods = []string{"GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS"}

// TestSameAnswersAsNetHTTP compares both transports on random answers in random pieces.
func TestSameAnswersAsNetHTTP(t *testing.T) {
	t.Parallel()
	n := 400
	if os.Getenv("USERKEYS_LONG") != "" {
		n = 100_000
	}
	for i, s := range whole {
		sameAnswer(t, methods[i%len(methods)], s, nil)
	}
	for i := range n {
		seed := uint64(i)
		if os.Getenv("USERKEYS_LONG") != "" {
			seed = rand.Uint64()
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 15))
			splits := make([]int, rng.IntN(6))
			for i := range splits {
				splits[i] = 1 + rng.IntN(40)
			}
			sameAnswer(t, methods[rng.IntN(len(methods))], randomAnswer(rng), splits)
		})
	}
}

// FuzzSameAnswers tests that both transports read the same from an upstream, whatever it sends and however it comes in
// pieces.
func FuzzSameAnswers(f *testing.F) {
	for i, s := range whole {
		f.Add(byte(i), s, byte(i), byte(2*i))
	}
	f.Fuzz(func(t *testing.T, method byte, sent string, first, second byte) {
		sameAnswer(t, methods[int(method)%len(methods)], sent, []int{int(first), int(second)})
	})
}
