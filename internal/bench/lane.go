package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// lane is a target with its connections, which stay open between turns.
type lane struct {
	target Target
	o      Options
	conns  []*conn
	turn   sample
	blocks []sample

	mu       sync.Mutex // bad and firstBad
	bad      int
	firstBad string
}

func newLane(t Target, o Options) *lane {
	l := &lane{target: t, o: o}
	for i := range o.Conns {
		l.conns = append(l.conns, &conn{addr: t.Addr, rng: rand.New(rand.NewPCG(uint64(i), 1))})
	}
	return l
}

func (l *lane) close() {
	for _, c := range l.conns {
		c.close()
	}
}

// slice drives the target for one turn and charges it.
func (l *lane) slice(ctx context.Context) error {
	before, err := l.target.CPU()
	if err != nil {
		return err
	}
	began := l.o.Now()
	end := began.Add(l.o.Slice)
	var wg sync.WaitGroup
	counts := make([]int, len(l.conns))
	for i, c := range l.conns {
		wg.Go(func() {
			// At least once, so that a turn on a busy machine is not one without requests.
			for again := true; again; again = ctx.Err() == nil && l.o.Now().Before(end) {
				status, err := c.do(l.target.Request)
				counts[i]++
				if err != nil || status != l.target.Status {
					l.wrong(status, err)
				}
			}
		})
	}
	wg.Wait()
	wall := l.o.Now().Sub(began)
	after, err := l.target.CPU()
	if err != nil {
		return err
	}
	l.turn.cpu += after - before
	l.turn.wall += wall
	for _, n := range counts {
		l.turn.requests += n
	}
	return nil
}

func (l *lane) wrong(status int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bad++
	if l.firstBad == "" {
		l.firstBad = fmt.Sprintf("status %d, want %d", status, l.target.Status)
		if err != nil {
			l.firstBad = err.Error()
		}
	}
}

// conn is a keep-alive connection that reads answers without net/http: the
// load shares the machine with what it measures and must be cheap.
type conn struct {
	addr string
	rng  *rand.Rand
	nc   net.Conn
	r    *bufio.Reader
	buf  []byte
}

const ioTimeout = 10 * time.Second

// do sends one request and reads its answer whole.
func (c *conn) do(request func([]byte, *rand.Rand) []byte) (status int, err error) {
	if c.nc == nil {
		nc, err := net.DialTimeout("tcp", c.addr, ioTimeout)
		if err != nil {
			return 0, err
		}
		c.nc, c.r = nc, bufio.NewReaderSize(nc, 8192)
	}
	if err := c.nc.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return 0, err
	}
	c.buf = request(c.buf[:0], c.rng)
	if _, err := c.nc.Write(c.buf); err != nil {
		c.close()
		return 0, err
	}
	status, last, err := readResponse(c.r)
	if err != nil || last {
		c.close()
	}
	return status, err
}

func (c *conn) close() {
	if c.nc != nil {
		_ = c.nc.Close() // nothing of it is needed any more
		c.nc = nil
	}
}

// readResponse reads an answer and throws its body away; last tells that the
// connection ends with it.
func readResponse(r *bufio.Reader) (status int, last bool, err error) {
	line, err := readLine(r)
	if err != nil {
		return 0, false, err
	}
	if len(line) < 12 || !strings.HasPrefix(line, "HTTP/1.1 ") {
		return 0, false, errors.New("no HTTP/1.1 answer")
	}
	if status, err = strconv.Atoi(line[9:12]); err != nil {
		return 0, false, err
	}
	length, chunked := 0, false
	for {
		line, err := readLine(r)
		if err != nil {
			return 0, false, err
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case strings.EqualFold(name, "Content-Length"):
			if length, err = strconv.Atoi(value); err != nil {
				return 0, false, err
			}
		case strings.EqualFold(name, "Transfer-Encoding"):
			chunked = strings.EqualFold(value, "chunked")
		case strings.EqualFold(name, "Connection"):
			last = strings.EqualFold(value, "close")
		}
	}
	if chunked {
		return status, last, skipChunks(r)
	}
	_, err = r.Discard(length)
	return status, last, err
}

func skipChunks(r *bufio.Reader) error {
	for {
		line, err := readLine(r)
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(line, 16, 32)
		if err != nil {
			return err
		}
		if _, err := r.Discard(int(n) + 2); err != nil { // with the line end after it
			return err
		}
		if n == 0 {
			return nil
		}
	}
}

func readLine(r *bufio.Reader) (string, error) {
	b, err := r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return "", err
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
