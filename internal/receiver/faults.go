package receiver

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"userkeys"
)

// Faults are what a receiver does wrong on purpose to pushes that it would accept otherwise. A push that fails is
// not stored, so that the site's next try is handled as the first.
type Faults struct {
	Status int           // the status of the answer; 0: no failure
	Hang   bool          // do not answer at all, instead of Status
	Moved  string        // the Location of a Status of 3xx
	After  time.Duration // Retry-After, in whole seconds; 0: none

	First int           // only the first so many pushes
	Rate  float64       // only this share of the pushes, 0 to 1; with First, of those after them
	Delay time.Duration // before every answer, also a success
}

// Check returns an error for faults that exclude each other. Errors: [userkeys.InvalidParameters].
func (f Faults) Check() error {
	bad := func(text string) error { return userkeys.Errorf(userkeys.InvalidParameters, "%s", text) }
	switch {
	case f.Status != 0 && (f.Status < 300 || f.Status > 599):
		return bad("a failure is a status from 300 to 599")
	case f.Status != 0 && f.Hang:
		return bad("what hangs answers with no status")
	case f.First < 0 || f.Rate < 0 || f.Rate > 1 || math.IsNaN(f.Rate):
		return bad("a number of failures is not negative, and a share of them is from 0 to 1")
	case f.Delay < 0 || f.After < 0:
		return bad("a time to wait is not negative")
	case f.Status == 0 && (f.After > 0 || f.Moved != ""):
		return bad("Retry-After and another address belong to a failure, and there is none")
	case f.Status == 0 && !f.Hang && (f.First > 0 || f.Rate > 0):
		return bad("some are to fail, and it is not said how")
	}
	return nil
}

// strikes reports whether the n-th push, counted from 1, fails. roll is a random number below 1.
func (f Faults) strikes(n int64, roll float64) bool {
	switch {
	case f.Status == 0 && !f.Hang:
		return false
	case n <= int64(f.First):
		return true
	case f.Rate > 0:
		return roll < f.Rate
	}
	return f.First == 0
}

// head writes the headers of a failure.
func (f Faults) head(h http.Header) {
	if f.Moved != "" {
		h.Set("Location", f.Moved)
	}
	if f.After > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.After.Seconds()))))
	}
}
