// Package outward makes the requests to addresses that somebody else has chosen: pushes, and what an app on a
// server asks of sites that its users name. It connects to public addresses, and to private ones only if an
// administrator lists them. It uses no proxy from the environment, follows no redirects, keeps no cookies, and
// bounds time and size.
package outward

import (
	"net"
	"net/http"
	"time"
)

// Config says which addresses a client may connect to. The zero value allows public addresses only.
type Config struct {
	// Inward returns the private addresses that may be connected to, as "host:port": host is a name, or an IP address
	// in its canonical form, IPv6 in brackets. A name may then resolve to any address, an IP address only to itself.
	// It is called for each connection, and again before anything is written to a connection to a private address, so
	// that a line that is removed takes effect at once. Several goroutines call it. nil lists nothing.
	Inward func() []string

	// OnlyHTTP1 restricts the client to HTTP/1.1, where a request that is written leaves this process at once: in
	// HTTP/2 the other side may delay it here as long as it likes.
	OnlyHTTP1 bool

	// WriteTimeout is how long the other side may take to read one piece of a request; 0 is as long as Timeout.
	WriteTimeout time.Duration

	Resolver    *net.Resolver // nil is the system's
	Timeout     time.Duration // a request from start to the end of its answer; 0 is 10 s
	DialTimeout time.Duration // looking up a name and connecting, together; 0 is 5 s

	// MaxBody bounds an answer, in bytes: reading more fails with [ProblemSize]. 0 is 64 KiB. Below 0 there is no
	// bound, for callers that have their own; then answers may also be compressed.
	MaxBody int64

	// MaxHeader bounds the headers of an answer, in bytes; larger headers are an error. 0 is 64 KiB.
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

// New returns a client. Its errors say what went wrong by [Problem], and their texts nothing about the private
// network. A redirect is returned as the answer, for the caller to treat as a failure.
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
