package main

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"userkeys/internal/testkit"
)

// An event stream of the website ends with its last chunk when the server is told to stop,
// and does not hold it up.
func TestServeEndsTheWebsitesEventStreamsAtOnce(t *testing.T) {
	t.Parallel()
	website := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(website.Close)
	p := testkit.Serve(t, "--data", t.TempDir(), "--upstream", website.URL)
	res, err := http.Get(p.URL + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := bufio.NewReader(res.Body)
	if line, err := events.ReadString('\n'); err != nil || line != "data: first\n" {
		t.Fatalf("%q, %v", line, err)
	}
	p.Stop(t)
	if rest, err := io.ReadAll(events); err != nil || strings.TrimSpace(string(rest)) != "" {
		t.Errorf("the stream was cut off: %q, %v", rest, err)
	}
}

// scriptedListener accepts what a test says.
type scriptedListener struct {
	net.Listener
	errs []error
}

// Accept gives the next error.
func (l *scriptedListener) Accept() (net.Conn, error) {
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

func TestConnectionsThatCannotBeAcceptedAreLogged(t *testing.T) {
	t.Parallel()
	var logged strings.Builder
	now := time.Unix(1e9, 0)
	full := &net.OpError{Op: "accept", Err: syscall.EMFILE}
	l := &loudListener{
		Listener: &scriptedListener{errs: []error{full, full, full, full, net.ErrClosed}},
		log:      slog.New(slog.NewTextHandler(&logged, nil)), now: func() time.Time { return now },
	}
	for _, pause := range []time.Duration{0, 500 * time.Millisecond, 400 * time.Millisecond, 100 * time.Millisecond} {
		now = now.Add(pause)
		if _, err := l.Accept(); !errors.Is(err, syscall.EMFILE) {
			t.Errorf("got %v, which the server does not know", err)
		}
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if log := logged.String(); strings.Count(log, "\n") != 2 || strings.Count(log, "level=ERROR") != 2 || !strings.Contains(log, syscall.EMFILE.Error()) ||
		strings.Count(log, "left_out") != 1 || !strings.Contains(log, "left_out=2\n") {
		t.Errorf("logged\n%s", log)
	}
}

func TestMinUploadRateFlag(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int{"": 64, "64": 64, "0": -1, "1": 1, "-1": 0, "2000000": 0} {
		f := newServeCommand().Flags()
		if value != "" {
			if err := f.Set("min-upload-rate", value); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := minUploadRate(f); got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %d, %v", value, got, err)
		}
	}
}
