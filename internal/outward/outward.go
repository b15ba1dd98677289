// Package outward makes every request of ours to an address that somebody else chose: pushes, and what an app
// on a server asks of sites that its visitors name. It reaches public addresses, and inside only what an
// administrator lists; it takes no proxy from the environment, follows no redirect, keeps no cookies, and
// bounds time and size.
package outward

import (
	"net"
	"net/http"
	"time"
)

// Config is how far a client reaches. The zero value reaches public addresses only.
type Config struct {
	// Inward lists what may be reached though it lies inside: "host:port" each, with host as the address has it: a name,
	// or an IP address in its canonical spelling, IPv6 in brackets. A name may then lead anywhere inside; an IP
	// address to itself only. It is asked at each connection, and again before anything is written to one
	// that leads inside: a line that is taken out holds at once. Several goroutines call it. nil lists nothing.
	Inward func() []string

	// OnlyHTTP1 keeps to HTTP/1.1, where a request that is being written leaves this process at once: in HTTP/2
	// the other side may let it wait here as long as it likes.
	OnlyHTTP1 bool

	// WriteTimeout is how long the other side may take to take one piece of what is sent; 0 is as long as Timeout.
	WriteTimeout time.Duration

	Resolver    *net.Resolver // nil is the system's
	Timeout     time.Duration // a request from start to the end of its answer; 0 is 10 s
	DialTimeout time.Duration // looking up a name and connecting, together; 0 is 5 s

	// MaxBody bounds an answer, in bytes: reading on fails with [ProblemSize]. 0 is 64 KiB. Below 0 nothing is
	// bounded here, for callers that do it themselves; then answers may also come compressed.
	MaxBody int64

	// MaxHeader bounds the headers of an answer, in bytes; an answer with more is an error. 0 is 64 KiB.
	MaxHeader int64
}

// Bounds of every client. Idle connections suffice for some thousand requests a second to one host, and end.
const (
	usualTimeout     = 10 * time.Second
	usualDialTimeout = 5 * time.Second // F39
	usualMaxBody     = 64 << 10
	maxHeaderBytes   = 64 << 10
	maxIdle          = 512
	maxIdlePerHost   = 128
	idleTimeout      = 60 * time.Second
)

const userAgent = "userkeys"

// New makes a client. Its errors tell what went wrong by [Problem], and their texts nothing of what lies
// inside. A redirect is the answer, and is for the caller to count as a failure.
func New(c Config) *http.Client {
	t := &transport{writeTimeout: c.WriteTimeout, inward: c.Inward, maxBody: orUsual(c.MaxBody, usualMaxBody)}
	t.dialer = net.Dialer{Timeout: orUsual(c.DialTimeout, usualDialTimeout), Resolver: c.Resolver}
	t.base = newBase(t, c)
	return &http.Client{
		Timeout: orUsual(c.Timeout, usualTimeout), Transport: t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func orUsual[T int64 | time.Duration](v, usual T) T {
	if v == 0 {
		return usual
	}
	return v
}
