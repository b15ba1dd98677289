package monitor

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"userkeys"
	"userkeys/gateway/internal/forward"
)

var (
	alice = userkeys.Access{KeyID: 7, UserID: 1, Username: "alice"}
	bob   = userkeys.Access{KeyID: 8, UserID: 2, Username: "bob"}
)

// holds is a checker for which every key holds until it has ended.
type holds struct {
	ended atomic.Bool  // Holds refuses from now on
	asked atomic.Int64 // calls of Holds
}

func (h *holds) Holds(context.Context, userkeys.Access) error {
	h.asked.Add(1)
	if h.ended.Load() {
		return userkeys.ErrInvalidKey
	}
	return nil
}

// newAnswer returns the answer to a request of HTTP/1.1.
func newAnswer() *forward.Answer {
	r := httptest.NewRequest("GET", "/", nil)
	return forward.NewAnswer(httptest.NewRecorder(), r)
}

// stuck is a checker whose Holds hangs for one user, as with a database that is gone.
type stuck struct{ holds }

func (s *stuck) Holds(ctx context.Context, a userkeys.Access) error {
	if a.UserID == alice.UserID {
		<-ctx.Done()
		return userkeys.Errorf(userkeys.Unavailable, "cannot tell")
	}
	return s.holds.Holds(ctx, a)
}

func TestWatchAsksAtItsTimesAndStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &holds{}
		all := New(c)
		early := all.Follow(t.Context(), alice, newAnswer())
		var asked []int64
		wait := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
			asked = append(asked, c.asked.Load())
		}
		wait(2*lookPause - 1)
		late := all.Follow(t.Context(), bob, newAnswer())
		between := all.Follow(t.Context(), bob, newAnswer())
		wait(1)
		between.Stop()
		wait(lookPause)
		wait(lookPause)
		early.Stop()
		wait(lookPause)
		late.Stop()
		wait(time.Minute)
		if !slices.Equal(asked, []int64{0, 1, 3, 5, 6, 6}) || early.ctx.Err() == nil || context.Cause(late.ctx) != context.Canceled {
			t.Errorf("asked %v, contexts %v and %v", asked, early.ctx.Err(), context.Cause(late.ctx))
		}
		if all.running || all.first != nil {
			t.Error("the monitor does not rest")
		}
	})
}

func TestWatchEndsTheContextWithItsReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &holds{}
		out := newAnswer()
		s := New(c).Follow(t.Context(), alice, out)
		defer s.Stop()
		_, _ = out.Write([]byte("x"))
		time.Sleep(2*lookPause + 1)
		c.ended.Store(true)
		start := time.Now()
		<-s.ctx.Done()
		if d := time.Since(start); d > lookPause || !errors.Is(context.Cause(s.ctx), userkeys.InvalidAccess) {
			t.Errorf("ended after %v because of %v", d, context.Cause(s.ctx))
		}
		synctest.Wait()
		if _, err := out.Write([]byte("y")); err == nil {
			t.Error("writing goes on after the cut")
		}
	})
}

func TestWatchCutsWhatItCannotVouchForAndNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &stuck{}
		all := New(c)
		var hanging, fine []*Followed
		for range 8 {
			hanging = append(hanging, all.Follow(t.Context(), alice, newAnswer()))
			fine = append(fine, all.Follow(t.Context(), bob, newAnswer()))
		}
		time.Sleep(2*lookPause + lookTime + 1)
		synctest.Wait()
		for i := range hanging {
			if !errors.Is(context.Cause(hanging[i].ctx), userkeys.Unavailable) || fine[i].ctx.Err() != nil {
				t.Errorf("%d: %v and %v", i, context.Cause(hanging[i].ctx), fine[i].ctx.Err())
			}
		}
		if c.asked.Load() < 8*2 {
			t.Error("one answer that does not come holds up the next round")
		}
		for i := range hanging {
			hanging[i].Stop()
			fine[i].Stop()
		}
		time.Sleep(time.Second) // until the last round is over
	})
}

// faulty is a checker that panics.
type faulty struct{}

func (faulty) Holds(context.Context, userkeys.Access) error { panic("the checker") }

// TestWatchCutsWhenTheCheckerPanics: the request that the checker panics about ends, and the program does not.
func TestWatchCutsWhenTheCheckerPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(faulty{}).Follow(t.Context(), alice, newAnswer())
		defer s.Stop()
		<-s.Context().Done()
		if err := context.Cause(s.Context()); !errors.Is(err, userkeys.Internal) || !strings.Contains(err.Error(), "panic: the checker") {
			t.Errorf("it ends with %v", err)
		}
	})
}

func TestWatchForgetsRequestsInAnyOrder(t *testing.T) {
	t.Parallel()
	all := New(&holds{})
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}, {0, 2, 1}, {2, 0, 1}} {
		var in []*Followed
		for range order {
			in = append(in, all.Follow(t.Context(), alice, newAnswer()))
		}
		for _, i := range order {
			in[i].Stop()
		}
		if all.first != nil {
			t.Fatalf("order %v leaves a request", order)
		}
	}
}

// TestWhyAnAnswerEndsIsSaidWhole: a handler that waited says that the key has ended as soon as its context ends. That answer
// begins after the end, and is not the one to be cut.
func TestWhyAnAnswerEndsIsSaidWhole(t *testing.T) {
	t.Parallel()
	c := &holds{}
	c.ended.Store(true)
	all := New(c)
	for range 5000 { // the two goroutines meet in a moment that no test can hold
		out := newAnswer()
		s := all.Follow(t.Context(), userkeys.Access{}, out)
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
		s.Stop()
		if _, err := io.WriteString(out, "."); err != nil {
			t.Fatal("the answer with the reason was cut")
		}
	}
}
