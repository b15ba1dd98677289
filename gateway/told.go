package gateway

import (
	"context"
	"errors"

	"userkeys"
	"userkeys/gateway/internal/question"
	"userkeys/gateway/internal/request"
)

// Told is a request with a key that came to somebody else, as they tell of it.
type Told struct {
	Key, Method string
	Target      string // as it came: still escaped, with the query
}

// CheckTold charges and decides a request that somebody tells of, as [Proxy] does with one that it gets.
// Errors are *userkeys.Error: those of [Checker.Check], and [userkeys.InvalidParameters] and
// [userkeys.MethodNotAllowed] for what the proxy would refuse.
func CheckTold(ctx context.Context, c Checker, t Told) (userkeys.Access, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var a userkeys.Access
	r, f := question.Told(ctx, t.Key, t.Method, t.Target)
	if f != nil {
		return a, f.AsError()
	}
	a, err := keyCheck{checker: c}.decide(r, request.PresentedBy(r, c.Edge()), upstreamRequest)
	if f, ok := errors.AsType[*request.Refusal](err); ok {
		err = f.AsError()
	}
	return a, err
}
