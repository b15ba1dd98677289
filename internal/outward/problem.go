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

// The problems that [Problem] returns.
const (
	// it is private, or programs could read it in more than one way; nothing was dialled
	ProblemAddress    = "address"
	ProblemTimeout    = "timeout"    // there was no whole answer in time
	ProblemTLS        = "tls"        // the certificate is not trusted, or the server has no TLS
	ProblemConnection = "connection" // the name does not exist, nothing listens, or the connection broke
	ProblemSize       = "size"       // the answer is larger than MaxBody
	ProblemCanceled   = "canceled"   // the caller cancelled the request
)

// sentences are the texts of the problems, for people.
var sentences = map[string]string{
	ProblemAddress:    "this is no public address",
	ProblemTimeout:    "there was no whole answer in time",
	ProblemTLS:        "there was no secure connection that can be trusted",
	ProblemConnection: "it cannot be reached, or broke off",
	ProblemSize:       "its answer is too long",
	ProblemCanceled:   "it was interrupted",
}

// A failure is the error of every request of this package, and of reading its answer. Its text says no more than
// its problem, because whoever chose the address must not learn from it about the private network. errors.Is,
// errors.As and [Detail] find the cause.
type failure struct {
	problem string
	public  *userkeys.Error
	cause   error
}

func (f *failure) Error() string { return f.public.Public }

// Unwrap returns the public error, which has no cause, and the cause.
func (f *failure) Unwrap() []error { return []error{f.public, f.cause} }

// Timeout and Temporary implement [net.Error].
func (f *failure) Timeout() bool { return f.problem == ProblemTimeout }

// Temporary is false: package net says that its meaning is not well-defined.
func (f *failure) Temporary() bool { return false }

// fail returns cause as a failure with a problem.
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

// failed returns err as a failure; if it has one in its chain, that one.
func failed(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return fail(classify(err), err)
}

// Problem returns the problem of the error of a request, or of reading its answer; empty for nil.
func Problem(err error) string {
	if err == nil {
		return ""
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.problem
	}
	return classify(err) // an http.Client that ends a request itself does not return the cause
}

// Detail returns all that is known about err, private addresses and names included. It is for the administrator's
// log only.
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

// Innermost returns the text of the innermost error in the chain of err, such as "connection refused". It says more to
// a person than the errors around it, which may quote the whole request.
func Innermost(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
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

// isTLS reports whether err is an error of a TLS handshake, of either side.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var operation *net.OpError
	return errors.As(err, &certificate) || errors.As(err, &record) ||
		// crypto/tls: an alert
		errors.As(err, &operation) && (operation.Op == "remote error" || operation.Op == "local error")
}
