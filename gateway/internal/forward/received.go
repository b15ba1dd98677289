package forward

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"userkeys/gateway/internal/headers"
	"userkeys/gateway/internal/request"
)

// asReceived readies an upstream's answer for the client, beyond what its headers say.
func (p *Proxy) asReceived(x *Request, res *http.Response) {
	if res.StatusCode == http.StatusSwitchingProtocols {
		x.body.over.Store(true)
		if protocol := res.Header["Upgrade"]; headers.HasToken(res.Header["Connection"], "Upgrade") {
			headers.StripHops(res.Header)
			res.Header["Connection"], res.Header["Upgrade"] = connectionUpgrade, protocol
		}
		return
	}
	delete(res.Trailer, "Set-Cookie") // see Answer.end
	addNothing(x.answer.Header(), res.Header)
	x.received = received{ReadCloser: res.Body, x: x, p: p}
	res.Body = &x.received
	if isEventStream(res.Header) {
		p.streams.add(&x.received)
	}
}

// addNothing keeps net/http from adding to an answer what it takes the body for.
// A browser that is told a type may run what the website has sent without one.
func addNothing(to, from http.Header) {
	for _, name := range [...]string{"Content-Type", "Content-Length"} {
		_, theirs := from[name]
		if _, ours := to[name]; !theirs && !ours {
			to[name] = nil
		}
	}
}

func isEventStream(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "text/event-stream")
}

// received is the body of an upstream's answer.
type received struct {
	io.ReadCloser
	x      *Request
	p      *Proxy
	listed bool        // among the proxy's streams
	broke  bool        // it did not come to its end
	ended  atomic.Bool // by us
}

// Read reads on. An answer that we ended is over; one that broke off leaves a line in the log.
func (b *received) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if b.ended.Load() {
		return n, io.EOF
	}
	b.broke = true
	if b.x.Err() == nil { // else the client has left, or its key has ended
		attrs := append([]slog.Attr{slog.Any("error", err)}, request.LogAttrs(b.x.In)...)
		b.p.broken.Write(b.x.In.Context(), "upstream broke off its answer", attrs...)
	}
	return n, err
}

// Close ends reading.
func (b *received) Close() error {
	if b.listed {
		b.p.streams.remove(b)
	}
	return b.ReadCloser.Close()
}

// end makes the body end where it is. Another goroutine may be reading it.
func (b *received) end() {
	b.ended.Store(true)
	_ = b.ReadCloser.Close()
}

// streams are the event streams that are open, so that a server which stops can end them.
type streams struct {
	mu   sync.Mutex
	over bool
	open map[*received]struct{}
}

func (s *streams) add(b *received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		b.end()
		return
	}
	if s.open == nil {
		s.open = map[*received]struct{}{}
	}
	s.open[b], b.listed = struct{}{}, true
}

func (s *streams) remove(b *received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, b)
}

func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for b := range s.open {
		b.end()
	}
}

// Drain ends the event streams (text/event-stream) of the upstream, those that
// are open and those that begin later, for a server that is about to stop. Their clients
// connect again by themselves; other answers come to their end.
func (p *Proxy) Drain() { p.streams.end() }
