// Package question reads what a web server asks about a request of its client (nginx's auth_request, forward
// authentication, ext_authz), and answers so that the web server passes on what it gets.
package question

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"userkeys"
	"userkeys/gateway/internal/request"
)

// The headers of the questions. Clients can send all of them, and a web server replaces those that it sets itself and
// passes on the others. So each dialect reads one pair, and the path that was asked says which.
const (
	forwardedMethod = "X-Forwarded-Method"
	forwardedTarget = "X-Forwarded-Uri"
	originalMethod  = "X-Original-Method"
	originalTarget  = "X-Original-Uri"
)

type dialect int

const (
	forwarded dialect = iota // Caddy, Traefik, HAProxy
	nginx                    // it passes on the headers of a 401 or 403, and neither bodies nor other statuses
	envoy                    // it asks with the method of the client, and with the target behind a prefix
)

// Question is what a web server asks: whether it may pass a request on.
type Question struct {
	Method, Target string // of the client's request; empty if the question does not say it, or says it twice
	NeedsKey       bool   // a request without a key is refused

	dialect dialect
}

// Of returns the question that r asks, and whether its path is one that web servers ask at. The query of r, which some
// web servers copy from the client, is not read.
func Of(r *http.Request) (Question, bool) {
	var q Question
	target := r.RequestURI
	if rest, ok := strings.CutPrefix(target, "/require/"); ok {
		q.NeedsKey, target = true, target[len(target)-len(rest)-1:]
	}
	path, _, _ := strings.Cut(target, "?")
	switch {
	case path == "/forwarded":
		q.Method, q.Target = single(r, forwardedMethod), single(r, forwardedTarget)
	case path == "/nginx":
		q.dialect = nginx
		q.Method, q.Target = single(r, originalMethod), single(r, originalTarget)
	case path == "/envoy", strings.HasPrefix(path, "/envoy/"):
		q.dialect = envoy
		q.Method, q.Target = r.Method, strings.TrimPrefix(target, "/envoy")
	default:
		return Question{}, false
	}
	return q, true
}

// single returns the value of a header that was sent once; of one that a proxy joined from several lines, nothing.
func single(r *http.Request, name string) string {
	lines := r.Header[name]
	if len(lines) != 1 || name != forwardedTarget && name != originalTarget && strings.Contains(lines[0], ",") {
		return ""
	}
	return lines[0]
}

var (
	refuseIncomplete = request.NewRefusal(http.StatusForbidden, &userkeys.Error{
		Code: userkeys.InvalidAccess, Reason: "incomplete question",
		Public: "the web server of this site did not say what it asks about: it must send the method and the target " +
			"of the request, each once",
	})
	refuseNoPath = request.Malformed("ambiguous path",
		"the target of this request must be a path without spaces and control characters")
)

// Client returns the request that the question is about, as far as the question tells it, within the context of r.
// Its headers are those of r. It refuses a question that does not say once what it is about, and a request that nobody
// should pass on.
func (q Question) Client(r *http.Request) (*http.Request, *request.Refusal) {
	switch {
	case q.Method == "" || q.Target == "":
		return nil, refuseIncomplete
	case q.Target[0] != '/' || strings.ContainsFunc(q.Target, noByteOfTarget):
		return nil, refuseNoPath
	}
	c := r.WithContext(r.Context())
	c.Method, c.RequestURI, c.Body, c.ContentLength = q.Method, q.Target, http.NoBody, 0
	return c, request.Acceptable(c)
}

// Reported returns a request with a key as somebody reports it who is no web server. It refuses what Client refuses.
func Reported(ctx context.Context, key, method, target string) (*http.Request, *request.Refusal) {
	r := &http.Request{
		Host: "reported", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, URL: &url.URL{},
		Header: http.Header{userkeys.KeyHeader: {key}},
	}
	return Question{Method: method, Target: target}.Client(r.WithContext(ctx))
}

// noByteOfTarget reports whether no request line has r in its target. A header may.
func noByteOfTarget(r rune) bool { return r <= ' ' || r == 0x7f }
