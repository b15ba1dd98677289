package transport

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"time"
)

// synchronous sends usual requests and reads their answers in the goroutine of its caller, so that none is handed from
// one goroutine to another and back. A request with a body has a second goroutine, which sends the body: the website
// may answer before it has come. It sends nothing twice; its caller is told by httptrace's GotConn which connection a
// request goes over, and can judge by what went over it.
type synchronous struct {
	cfg      Config
	host     string // of the requests that it takes
	addr     string
	standard *http.Transport // for the others

	mu    sync.Mutex
	idle  []*link     // the one that was used last is the last
	timer *time.Timer // for the first of them; nil: none was idle yet
}

func newSynchronous(cfg Config) *synchronous {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	addr := net.JoinHostPort(cfg.Upstream.Hostname(), cmp.Or(cfg.Upstream.Port(), "80"))
	return &synchronous{cfg: cfg, host: cfg.Upstream.Host, addr: addr, standard: Standard(cfg)}
}

// link is a connection to the website, of which one request at a time has the use.
type link struct {
	*Conn
	reader *bufio.Reader
	left   int       // how much of the header of an answer may still come; negative: what comes is no header
	since  time.Time // it was used last
}

var errHeader = errors.New("the header of the upstream's response is too long")

// Read reads what is counted against the bound on headers while one is read.
func (l *link) Read(p []byte) (int, error) {
	if l.left < 0 {
		return l.Conn.Read(p)
	}
	if l.left == 0 {
		return 0, errHeader
	}
	n, err := l.Conn.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// connect returns an idle connection, or a new one. Whether an idle one is still good is seen by its first write.
func (t *synchronous) connect(ctx context.Context) (l *link, err error) {
	l = t.takeIdle()
	reused := l != nil
	if !reused {
		conn, err := t.cfg.dial(ctx, "tcp", t.addr)
		if err != nil {
			return nil, err
		}
		l = &link{Conn: conn.(*Conn)}
		l.reader = bufio.NewReader(l)
	}
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: l.Conn, Reused: reused})
	}
	if reused {
		l.Reuse()
	}
	return l, nil
}

func (t *synchronous) takeIdle() *link {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.idle)
	if n == 0 {
		return nil
	}
	l := t.idle[n-1]
	t.idle[n-1], t.idle = nil, t.idle[:n-1]
	return l
}

// putIdle keeps a connection whose answer has been read for the next request, unless the website has said more than
// it was asked, or it could not be seen later that it is over.
func (t *synchronous) putIdle(l *link) {
	l.since = t.cfg.Now()
	t.mu.Lock()
	keep := l.reader.Buffered() == 0 && l.raw != nil && len(t.idle) < maxIdle
	if keep {
		t.idle = append(t.idle, l)
		switch {
		case t.timer == nil:
			t.timer = time.AfterFunc(keepIdle, t.closeOld)
		case len(t.idle) == 1:
			t.timer.Reset(keepIdle)
		}
	}
	t.mu.Unlock()
	if !keep {
		_ = l.Close()
	}
}

// closeOld closes what was idle for too long.
func (t *synchronous) closeOld() {
	t.mu.Lock()
	oldest := t.cfg.Now().Add(-keepIdle)
	n := 0
	for n < len(t.idle) && !t.idle[n].since.After(oldest) {
		n++
	}
	old := slices.Clone(t.idle[:n])
	if t.idle = slices.Delete(t.idle, 0, n); len(t.idle) > 0 {
		t.timer.Reset(t.idle[0].since.Sub(oldest))
	}
	t.mu.Unlock()
	for _, l := range old {
		_ = l.Close()
	}
}

// deadline is until when the website must have gone on.
func (t *synchronous) deadline() time.Time {
	if t.cfg.HeaderTimeout <= 0 {
		return time.Time{}
	}
	return t.cfg.Now().Add(t.cfg.HeaderTimeout)
}
