package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"userkeys"
)

// TestWhyAnAnswerEndsIsSaidWhole: a handler that waited says that the key has ended as soon as its context ends. That answer
// begins after the end, and is not the one to be cut.
func TestWhyAnAnswerEndsIsSaidWhole(t *testing.T) {
	t.Parallel()
	c := &fakeChecker{}
	c.ended.Store(true)
	all := &monitor{checker: c}
	for range 5000 { // the two goroutines meet in a moment that no test can hold
		out := &answer{ResponseWriter: httptest.NewRecorder()}
		s := all.follow(t.Context(), userkeys.Access{}, out)
		var handler sync.WaitGroup
		handler.Go(func() {
			<-s.ctx.Done()
			out.WriteHeader(http.StatusForbidden)
			if _, err := io.WriteString(out, "invalid key"); err != nil {
				t.Errorf("the reason cannot be written: %v", err)
			}
		})
		s.look(t.Context())
		handler.Wait()
		s.stop()
		if out.severed {
			t.Fatal("the answer with the reason was cut")
		}
	}
}
