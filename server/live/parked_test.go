package live

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"userkeys/server/door"
)

// TestWhyAParkedPollEndsIsSaidWhole: what cuts the polls of a key that ended comes beside the answer that says so.
func TestWhyAParkedPollEndsIsSaidWhole(t *testing.T) {
	t.Parallel()
	h := &Handlers{door: &door.Door{}}
	ours, theirs := net.Pipe()
	taken := &takenOver{conn: theirs, now: time.Now, header: http.Header{}}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		h.answerParked(taken, new(http.Request).WithContext(t.Context()), nil) // without a poll it cannot go well
		_ = theirs.Close()
	}()
	var first [1]byte
	if _, err := io.ReadFull(ours, first[:]); err != nil { // now it has begun
		t.Fatal(err)
	}
	taken.cut()
	rest, err := io.ReadAll(ours)
	if <-answered; err != nil || !strings.HasPrefix(string(rest), "TTP/1.1 500 ") || !strings.HasSuffix(string(rest), "}") {
		t.Errorf("got %q, %v", rest, err)
	}
}
