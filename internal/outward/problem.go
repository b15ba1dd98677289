package outward

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"

	"userkeys"
)

// What can go wrong, in the words of [Problem].
const (
	// it leads inside, or programs could read it in more than one way; nothing was dialled
	ProblemAddress    = "address"
	ProblemTimeout    = "timeout"    // no whole answer in time
	ProblemTLS        = "tls"        // no connection that can be trusted: its certificate, or no TLS at all
	ProblemConnection = "connection" // no such name, nobody listens, it broke
	ProblemSize       = "size"       // the answer has more bytes than the bound
	ProblemCanceled   = "canceled"   // the caller ended it
)

// sentences say the same to a person.
var sentences = map[string]string{
	ProblemAddress:    "this is no public address",
	ProblemTimeout:    "there was no whole answer in time",
	ProblemTLS:        "there was no secure connection that can be trusted",
	ProblemConnection: "it cannot be reached, or broke off",
	ProblemSize:       "its answer is too long",
	ProblemCanceled:   "it was interrupted",
}

// A failure is the error of every request of this package, and of reading its answer. Its text says no more than
// its problem: who chose the address must not learn from it what lies inside (SS27). The cause is there for
// errors.Is and errors.As, and for [Detail].
type failure struct {
	problem string
	public  *userkeys.Error
	cause   error
}

func (f *failure) Error() string { return f.public.Public }

// Unwrap gives the house's error, which has no cause, and the cause.
func (f *failure) Unwrap() []error { return []error{f.public, f.cause} }

// Timeout and Temporary make it a [net.Error], for callers that ask so.
func (f *failure) Timeout() bool { return f.problem == ProblemTimeout }

// Temporary is false: package net says of it that it is not well-defined.
func (f *failure) Temporary() bool { return false }

// fail is cause as the failure that it is.
func fail(problem string, cause error) *failure {
	code := userkeys.Unavailable
	switch problem {
	case ProblemAddress:
		code = userkeys.InvalidParameters
	case ProblemSize:
		code = userkeys.BodyTooLarge
	}
	return &failure{problem, &userkeys.Error{Code: code, Public: sentences[problem], Reason: problem}, cause}
}

// failed is err as a failure; one that it holds already stays what it is.
func failed(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return fail(classify(err), err)
}

// Problem is one of the words above for the error of a request, or of reading its answer; empty for nil.
func Problem(err error) string {
	if err == nil {
		return ""
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.problem
	}
	return classify(err) // an http.Client that ends a request itself gives no cause
}

// Detail is all that is known of err, with addresses and names that may lie inside: for the administrator's log only.
func Detail(err error) string {
	f, ok := errors.AsType[*failure](err)
	switch {
	case err == nil:
		return ""
	case ok && f.cause != nil:
		return f.problem + ": " + f.cause.Error()
	}
	return err.Error()
}

func classify(err error) string {
	var network net.Error
	var size *http.MaxBytesError
	switch {
	case errors.As(err, &size):
		return ProblemSize
	case errors.Is(err, context.Canceled):
		return ProblemCanceled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) &&
		network.Timeout():
		return ProblemTimeout
	case isTLS(err):
		return ProblemTLS
	}
	return ProblemConnection
}

// isTLS tells errors of a handshake, ours or the other side's.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var operation *net.OpError
	return errors.As(err, &certificate) || errors.As(err, &record) ||
		// crypto/tls: an alert
		errors.As(err, &operation) && (operation.Op == "remote error" || operation.Op == "local error")
}
