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

// A driver sends requests to a target, over connections that stay open between turns.
type driver struct {
	target Target
	o      Options
	conns  []*conn
	turn   sample
	blocks []sample

	mu       sync.Mutex // bad and firstBad
	bad      int
	firstBad string
}

func newDriver(t Target, o Options) *driver {
	d := &driver{target: t, o: o}
	for i := range o.Conns {
		d.conns = append(d.conns, &conn{addr: t.Addr, rng: rand.New(rand.NewPCG(uint64(i), 1))})
	}
	return d
}

func (d *driver) close() {
	for _, c := range d.conns {
		c.close()
	}
}

// slice sends requests to the target for one turn and counts them with the CPU time that they took.
func (d *driver) slice(ctx context.Context) error {
	before, err := d.target.CPU()
	if err != nil {
		return err
	}
	began := d.o.Now()
	end := began.Add(d.o.Slice)
	var wg sync.WaitGroup
	counts := make([]int, len(d.conns))
	for i, c := range d.conns {
		wg.Go(func() {
			// At least once, so that a turn on a busy machine is not one without requests.
			for again := true; again; again = ctx.Err() == nil && d.o.Now().Before(end) {
				status, err := c.do(d.target.Request)
				counts[i]++
				if err != nil || status != d.target.Status {
					d.wrong(status, err)
				}
			}
		})
	}
	wg.Wait()
	wall := d.o.Now().Sub(began)
	after, err := d.target.CPU()
	if err != nil {
		return err
	}
	d.turn.cpu += after - before
	d.turn.wall += wall
	for _, n := range counts {
		d.turn.requests += n
	}
	return nil
}

func (d *driver) wrong(status int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bad++
	if d.firstBad == "" {
		d.firstBad = fmt.Sprintf("status %d, want %d", status, d.target.Status)
		if err != nil {
			d.firstBad = err.Error()
		}
	}
}

// conn is a keep-alive connection that reads answers without net/http: it must be cheap, because it runs on the
// machine that it measures.
type conn struct {
	addr string
	rng  *rand.Rand
	nc   net.Conn
	r    *bufio.Reader
	buf  []byte
}

const ioTimeout = 10 * time.Second

// do sends one request, reads the whole answer and returns its status.
func (c *conn) do(request func([]byte, *rand.Rand) []byte) (int, error) {
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

// readResponse reads an answer and discards its body. It returns the status, and whether the connection ends with
// it.
func readResponse(r *bufio.Reader) (int, bool, error) {
	line, err := readLine(r)
	if err != nil {
		return 0, false, err
	}
	if len(line) < 12 || !strings.HasPrefix(line, "HTTP/1.1 ") {
		return 0, false, errors.New("no HTTP/1.1 answer")
	}
	status, err := strconv.Atoi(line[9:12])
	if err != nil {
		return 0, false, err
	}
	length, chunked, last := 0, false, false
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
