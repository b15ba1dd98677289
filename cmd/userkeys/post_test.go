package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

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
