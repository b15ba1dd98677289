package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"userkeys"
	"userkeys/gateway"
	"userkeys/notify"
)

// A request that waits costs a goroutine with its stack, and the buffers of its connection: about 60 kB. So in a crowd
// polls of apps are parked: the connection is taken over, everything else of the request is
// let go, and a few workers write the answers. Such a connection is closed after its answer, which is
// why polls are not parked before there are many.
const (
	parkAbove   = 1000 // listeners
	parkWorkers = 8
	parkedWork  = 5 * time.Second // for one look at a parked poll
	sweepPause  = time.Second     // between two looks for clients that have left
	sweepAtOnce = 2000            // polls in one such look: 20,000 are through in ten seconds
)

// lot is where polls are parked.
type lot struct {
	checker gateway.Checker
	watcher *gateway.Watcher
	now     func() time.Time
	above   int           // how many must listen
	pause   time.Duration // sweepPause
	patience

	mu       sync.Mutex
	due      []*parked
	workers  int
	open     []*parked // those that are not settled, in no order
	of       map[int64][]*parked
	swept    int // the place in open where the next look for clients that have left begins
	sweeping bool
}

// parked is a poll without a goroutine. One worker has it at a time.
type parked struct {
	lot    *lot
	conn   net.Conn
	access userkeys.Access
	l      *notify.Listener
	head   []byte // of the answer, until it is sent; without the line that says how long it is
	parts  bool
	ctx    context.Context // ends with the access
	stop   func()          // the watch of it
	end    *time.Timer
	left   atomic.Bool // the client has

	// Guarded by lot.mu.
	place   int // in lot.open
	queued  bool
	busy    bool // a worker has it
	ended   bool // the time is over
	settled bool // it is answered
}

// park takes r's connection over, if there is a crowd and it can be. Then the poll is l's no more, and the
// handler has nothing left to do.
func (s *Server) park(w http.ResponseWriter, r *http.Request, l *notify.Listener, parts bool) bool {
	access, keyed := userkeys.FromContext(r.Context())
	if !keyed || r.ProtoMajor != 1 || s.cfg.Bus.Listeners() <= s.lot.above {
		return false
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false // HTTP/2 over a proxy of the embedder's, or a test
	}
	exchangeOf(r).status = http.StatusOK
	p := &parked{lot: s.lot, conn: conn, access: access, l: l, parts: parts, head: headOf(w.Header(), parts, s.cfg.Now())}
	// The request's own context ends with the handler.
	p.ctx, p.stop = s.lot.watcher.Watch(context.Background(), access)
	p.end = time.AfterFunc(s.lot.poll, func() { s.lot.wake(p, true) })
	context.AfterFunc(p.ctx, func() { s.lot.wake(p, false) })
	s.lot.enter(p)
	l.Call(func() { s.lot.wake(p, false) })
	return true
}

// Drain ends requests that wait for news, for a server that is about to stop: it returns when those whose
// connections the server does not know of are answered, or when ctx ends. Nobody can begin to wait any more.
func (s *Server) Drain(ctx context.Context) {
	if s.cfg.Bus == nil {
		return
	}
	s.cfg.Bus.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.lot.parked() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (t *lot) parked() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// enter takes p in, which has not been looked at yet.
func (t *lot) enter(p *parked) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.place = len(t.open)
	t.open = append(t.open, p)
	t.of[p.access.UserID] = append(t.of[p.access.UserID], p)
	if !t.sweeping {
		t.sweeping = true
		time.AfterFunc(t.pause, t.sweepSome)
	}
	p.queued = true
	t.queue(p)
}

// leave takes p out, which is settled. The caller holds mu.
func (t *lot) leave(p *parked) {
	end := len(t.open) - 1
	t.open[p.place], t.open[end].place = t.open[end], p.place
	t.open[end] = nil
	t.open = t.open[:end]
	user := p.access.UserID
	t.of[user] = slices.DeleteFunc(t.of[user], func(o *parked) bool { return o == p })
	if len(t.of[user]) == 0 {
		delete(t.of, user)
	}
}

// listen is [notify.Bus.Listen]. Nobody is told when the client of a parked poll leaves, so the poll keeps its place; where
// such polls may be in the way of a new one of the user, they are looked for first.
func (s *Server) listen(who notify.Hearer, subs []notify.Subscription) (*notify.Listener, error) {
	l, err := s.cfg.Bus.Listen(who, subs)
	inTheWay := errors.Is(err, userkeys.RateLimited) || err == nil && l.Over() // over at once: a later poll of its client is open
	if !inTheWay || !s.lot.sweep(who.UserID) {
		return l, err
	}
	return s.cfg.Bus.Listen(who, subs)
}

// sweep lets go a user's polls whose clients have left, and tells whether there were any. Their places are free then.
func (t *lot) sweep(userID int64) bool {
	t.mu.Lock()
	polls := slices.Clone(t.of[userID])
	t.mu.Unlock()
	return letGo(polls)
}

// sweepSome is one of the slow looks at all polls, which go on while there are any.
func (t *lot) sweepSome() {
	t.mu.Lock()
	n := min(len(t.open), sweepAtOnce)
	polls := make([]*parked, 0, n)
	for range n {
		if t.swept >= len(t.open) {
			t.swept = 0
		}
		polls = append(polls, t.open[t.swept])
		t.swept++
	}
	t.sweeping = n > 0
	t.mu.Unlock()
	if n == 0 {
		return
	}
	letGo(polls)
	time.AfterFunc(t.pause, t.sweepSome)
}

// letGo ends those of polls whose clients have left: the listening at once, the rest when a worker comes to it.
func letGo(polls []*parked) (any bool) {
	for _, p := range polls {
		if hasLeft(p.conn) {
			any = true
			p.left.Store(true)
			p.l.Close()
		}
	}
	return any
}

// hasLeft tells whether the client at the other end has closed the connection, where that can be seen. What else it
// sent is dropped: nobody reads it, and unread it would hide the end.
func hasLeft(conn net.Conn) bool {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	plain, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return false
	}
	left := false
	_ = raw.Read(func(fd uintptr) bool { left = atEnd(fd); return true }) // closed here meanwhile: somebody is at it
	return left
}

// headOf is the head of an answer, as net/http would write it.
func headOf(h http.Header, parts bool, now time.Time) []byte {
	h = h.Clone()
	h.Set("Content-Type", "application/json; charset=utf-8")
	if parts {
		setParts(h)
		h.Set("Transfer-Encoding", "chunked")
	}
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	h.Set("Connection", "close")
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\n")
	_ = h.Write(&b) // to memory
	return bytes.Clone(b.Bytes())
}

// wake has a worker look at p.
func (t *lot) wake(p *parked, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.ended = p.ended || ended
	if p.queued || p.settled {
		return
	}
	p.queued = true
	if p.busy { // its worker queues it again
		return
	}
	t.queue(p)
}

// queue gives p to a worker. The caller holds mu.
func (t *lot) queue(p *parked) {
	t.due = append(t.due, p)
	if t.workers < parkWorkers {
		t.workers++
		go t.work()
	}
}

// work looks at what is due until there is nothing.
func (t *lot) work() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.due) > 0 {
		p := t.due[0]
		t.due[0] = nil // the list would keep it
		t.due = t.due[1:]
		p.queued, p.busy = false, true
		ended := p.ended
		t.mu.Unlock()
		settled := p.look(ended)
		t.mu.Lock()
		p.busy, p.settled = false, settled
		if settled {
			t.leave(p)
		} else if p.queued {
			t.queue(p)
		}
	}
	t.due = nil
	t.workers--
}

// look answers p if there is something to say, and tells whether that was all.
func (p *parked) look(ended bool) bool {
	if p.left.Load() {
		p.settle()
		return true
	}
	ctx, cancel := context.WithTimeout(p.ctx, parkedWork)
	defer cancel()
	over := ended || p.l.Over()
	messages, err := p.l.Read(ctx)
	if err == nil && len(messages) > 0 { // after the reading: see Server.mayHave
		err = p.lot.checker.Holds(ctx, p.access)
	}
	switch {
	case p.ctx.Err() != nil:
		p.refuse(userkeys.AsError(context.Cause(p.ctx)))
	case err != nil:
		p.refuse(userkeys.AsError(err))
	case p.parts:
		if err := p.part(messages, over); err == nil && !over {
			return false
		}
	case len(messages) > 0 || over:
		p.whole(messages)
	default:
		return false
	}
	p.settle()
	return true
}

// settle gives up all that p has.
func (p *parked) settle() {
	p.end.Stop()
	p.stop()
	p.l.Close()
	_ = p.conn.Close() // what could be told was
}

// write gives b to the client, who must take it in time.
func (p *parked) write(b []byte) error {
	_ = p.conn.SetWriteDeadline(p.lot.now().Add(p.lot.take))
	_, err := p.conn.Write(b)
	return err
}

// whole is the answer in one piece.
func (p *parked) whole(messages []notify.Message) {
	if messages == nil {
		messages = []notify.Message{}
	}
	body, err := json.Marshal(messages)
	if err != nil {
		p.refuse(userkeys.AsError(err))
		return
	}
	b := append(p.head, "Content-Length: "+strconv.Itoa(len(body)+1)+"\r\n\r\n"...)
	_ = p.write(append(append(b, body...), '\n')) // a client that is gone needs no answer
}

// part is one part of an answer in parts, as a chunk (RFC 9112 7.1), and the end of all if it is the last.
func (p *parked) part(messages []notify.Message, last bool) error {
	var b []byte
	if p.head != nil {
		b = append(p.head, "\r\n"...)
		p.head = nil
		if messages == nil {
			messages = []notify.Message{}
		}
	}
	if messages != nil {
		body, err := json.Marshal(messages)
		if err != nil {
			return err
		}
		b = fmt.Appendf(b, "%x\r\n%s%s\r\n", len(body)+len(partEnd), body, partEnd)
	}
	if last {
		b = append(b, "0\r\n\r\n"...)
	}
	if len(b) == 0 {
		return nil
	}
	return p.write(b)
}

// refuse answers with an error; where the answer has begun it ends without its end.
func (p *parked) refuse(e *userkeys.Error) {
	if p.head == nil {
		return
	}
	w := &written{header: http.Header{}}
	gateway.WriteError(w, e)
	w.header.Set("Content-Length", strconv.Itoa(w.body.Len()))
	w.header.Set("Connection", "close")
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", w.status, http.StatusText(w.status))
	_ = w.header.Write(&b) // to memory
	b.WriteString("\r\n")
	_, _ = w.body.WriteTo(&b)
	_ = p.write(b.Bytes()) // a client that is gone needs no answer
}

// written keeps an answer.
type written struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *written) Header() http.Header         { return w.header }
func (w *written) Write(b []byte) (int, error) { return w.body.Write(b) }
func (w *written) WriteHeader(status int)      { w.status = status }
