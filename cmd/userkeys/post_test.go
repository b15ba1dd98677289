package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"userkeys/internal/testkit"
)

// scriptWord puts the first word of what was printed last into a variable.
func scriptWord(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 1, "word VARIABLE")
	first, _, _ := strings.Cut(ts.ReadFile("stdout"), " ")
	ts.Setenv(args[0], first)
}

// A board is a website that takes posts, or does not.
type board struct {
	mu     sync.Mutex
	bodies []string
	status int // 0: it breaks off after it took the post
	answer string
}

// ServeHTTP implements http.Handler.
func (b *board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Method == http.MethodPost && r.URL.Path == "/posts.json" && err == nil {
		b.bodies = append(b.bodies, string(body))
	}
	if b.status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(b.status)
	_, _ = io.WriteString(w, b.answer)
}

// scriptBoard starts a board at $BOARD, says how it answers, or wants a text to have reached it so many times.
func scriptBoard(ts *testscript.TestScript, _ bool, args []string) {
	const usage = "board start | board says STATUS ANSWER | board cuts | board has N TEXT"
	b := ts.Value("board").(*board)
	want(ts, len(args) > 0, usage)
	switch args[0] {
	case "start":
		up := testkit.NewUpstream(ts.Value("test").(testing.TB))
		up.Say(b.ServeHTTP)
		ts.Setenv("BOARD", up.URL)
	case "cuts":
		b.mu.Lock()
		defer b.mu.Unlock()
		b.status = 0
	case "says":
		want(ts, len(args) == 3, usage)
		b.mu.Lock()
		defer b.mu.Unlock()
		var err error
		b.status, err = strconv.Atoi(args[1])
		ts.Check(err)
		b.answer = args[2]
	case "has":
		want(ts, len(args) == 3, usage)
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := strings.Count(strings.Join(b.bodies, "\n"), args[2]); strconv.Itoa(n) != args[1] {
			ts.Fatalf("%q reached the board %d times: %q", args[2], n, b.bodies)
		}
	default:
		want(ts, false, usage)
	}
}

func TestParseMoment(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skipf("this machine has no time zones: %v", err)
	}
	now := time.Date(2026, 3, 27, 9, 0, 0, 0, berlin)
	tests := []struct{ text, want, says string }{
		{text: "2026-12-01T09:00:00Z", want: "2026-12-01T09:00:00Z"},
		{text: "2026-12-01T09:00:00+05:00", want: "2026-12-01T04:00:00Z"},
		{text: "2026-12-01 09:00", want: "2026-12-01T08:00:00Z"},
		{text: "2026-07-01 09:00", want: "2026-07-01T07:00:00Z"},
		{text: "2027-01-01 9:00", want: "2027-01-01T08:00:00Z"},
		{text: "2026-03-29 2:30", says: "does not exist"},
		{text: "2026-10-25 2:30", want: "2026-10-25T01:30:00Z"},
		{text: "+2h", want: "2026-03-27T10:00:00Z"},
		{text: "+0s", want: "2026-03-27T08:00:00Z"},
		{text: "2026-03-29 02:30", says: "does not exist"},
		{text: "2026-03-27 08:59", says: "is past"},
		{text: "2025-12-01T09:00:00Z", says: "is past"},
		{text: "+-2h", says: "is no time"},
		{text: "++2h", says: "is no time"},
		{text: "+2", says: "is no time"},
		{text: "2h", says: "is no time"},
		{text: "09:00", says: "is no time"},
		{text: "2026-12-01", says: "is no time"},
		{text: "2026-13-01 09:00", says: "is no time"},
	}
	for _, tt := range tests {
		got, err := parseMoment(tt.text, now, berlin)
		switch {
		case tt.says != "":
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q: %v, %v; want an error with %q", tt.text, got, err, tt.says)
			}
		case err != nil || got.UTC().Format(time.RFC3339) != tt.want:
			t.Errorf("%q: %v, %v; want %s", tt.text, got.UTC(), err, tt.want)
		}
	}
	if got, err := parseMoment("", now, berlin); err != nil || !got.IsZero() {
		t.Errorf("none: %v, %v", got, err)
	}
}
