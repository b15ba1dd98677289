package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"

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
	r := (&http.Request{
		Method: t.Method, RequestURI: t.Target, URL: &url.URL{}, Host: "told",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{userkeys.KeyHeader: {t.Key}}, Body: http.NoBody,
	}).WithContext(ctx)
	q := question.Question{Method: t.Method, Target: t.Target}
	var a userkeys.Access
	var err error
	if f := q.Complete(); f != nil {
		err = f
	} else if f := request.Acceptable(r); f != nil {
		err = f
	} else {
		a, err = keyCheck{checker: c}.decide(r, request.PresentedBy(r, c.Edge()), upstreamRequest)
	}
	if f, ok := errors.AsType[*request.Refusal](err); ok {
		e := userkeys.Errorf(userkeys.InvalidParameters, "this request would be refused: %s", f.Reason)
		if e.Reason = f.Reason; f.Status == http.StatusMethodNotAllowed {
			e.Code = userkeys.MethodNotAllowed
		}
		err = e
	}
	return a, err
}
