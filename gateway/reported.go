package gateway

import (
	"context"
	"errors"

	"userkeys"
	"userkeys/gateway/internal/question"
	"userkeys/gateway/internal/request"
)

// ReportedRequest is a request with a key that came to somebody else, as they report it.
type ReportedRequest struct {
	Key, Method string
	Target      string // as it came: still escaped, with the query
}

// CheckReported charges and decides a request that somebody reports, as [Proxy] does with one that it gets.
// Errors are *userkeys.Error: those of [Checker.Check], and [userkeys.InvalidParameters] and
// [userkeys.MethodNotAllowed] for what the proxy would refuse.
func CheckReported(ctx context.Context, c Checker, q ReportedRequest) (userkeys.Access, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var a userkeys.Access
	r, f := question.Reported(ctx, q.Key, q.Method, q.Target)
	if f != nil {
		return a, f.AsError()
	}
	k := request.PresentedBy(r, c.Edge())
	if f := k.StaysInQuery(); f != nil {
		return a, f.AsError()
	}
	a, err := keyCheck{checker: c}.decide(r, k, upstreamRequest)
	if f, ok := errors.AsType[*request.Refusal](err); ok {
		err = f.AsError()
	}
	return a, err
}
