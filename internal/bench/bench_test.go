package bench

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestCompareChargesWhatWasUsed: two servers whose CPU clocks are ours, so the
// true ratio is known exactly.
func TestCompareChargesWhatWasUsed(t *testing.T) {
	t.Parallel()
	server := func(cost time.Duration, status int) Target {
		var used atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			used.Add(int64(cost))
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "hello")
		}))
		t.Cleanup(s.Close)
		return Target{
			Addr: s.Listener.Addr().String(), Status: http.StatusOK, Request: get,
			CPU: func() (time.Duration, error) { return time.Duration(used.Load()), nil },
		}
	}
	base, dear, wrong := server(1000, 200), server(1500, 200), server(1000, 403)
	base.Name, dear.Name, wrong.Name = "base", "dear", "wrong"
	r, err := Compare(t.Context(), []Target{base, dear, wrong}, Options{
		Blocks: 3, Passes: 3, Slice: 5 * time.Millisecond, Conns: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{1, 1.5, 1} {
		got := r[i]
		if cpu, _ := got.Over(r[0]); cpu != (Spread{want, want, want}) {
			t.Errorf("%s: CPU ratio %v, want %v", got.Name, cpu, want)
		}
		if got.Requests == 0 {
			t.Errorf("%s: no requests", got.Name)
		}
	}
	if r[0].Bad != 0 || r[1].Bad != 0 {
		t.Errorf("good answers counted as bad: %+v", r)
	}
	if w := r[2]; w.Bad < w.Requests || w.FirstBad != "status 403, want 200" {
		t.Errorf("wrong answers: %d of %d counted as bad, first %q", w.Bad, w.Requests, w.FirstBad)
	}
}

func get(buf []byte, _ *rand.Rand) []byte {
	return append(buf, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"...)
}

func TestReadResponse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		text   string
		status int
		last   bool
		bad    bool
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, false, false},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", 204, false, false},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, false, false},
		{"closing", "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 403, true, false},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", 200, false, true},
		{"not HTTP", "hello\r\n\r\n", 0, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := bufio.NewReader(strings.NewReader(tt.text))
			status, last, err := readResponse(r)
			if status != tt.status || last != tt.last || (err != nil) != tt.bad {
				t.Errorf("readResponse = %d, %v, %v", status, last, err)
			}
			if rest, _ := io.ReadAll(r); err == nil && len(rest) != 0 {
				t.Errorf("left unread: %q", rest)
			}
		})
	}
}

func TestSpreadIsTheMedian(t *testing.T) {
	t.Parallel()
	if got := NewSpread([]float64{3, 1, 2}); got != (Spread{1, 2, 3}) {
		t.Errorf("spread = %v", got)
	}
}

// TestProcessCPU: work must show on the process's own clock.
func TestProcessCPU(t *testing.T) {
	t.Parallel()
	before, err := ProcessCPU(os.Getpid())
	if err != nil {
		t.Skip(err)
	}
	for end := time.Now().Add(time.Minute); ; {
		after, err := ProcessCPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after-before >= time.Millisecond {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a minute of work took %v of CPU time", after-before)
		}
	}
}
