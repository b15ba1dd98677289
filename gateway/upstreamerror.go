package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"userkeys"
	"userkeys/gateway/internal/apology"
	"userkeys/gateway/internal/forward"
	"userkeys/gateway/internal/headers"
	"userkeys/gateway/internal/monitor"
	"userkeys/gateway/internal/request"
	"userkeys/internal/logs"
)

var errNotThere = errors.New("upstream has nothing there") // and somebody else has

// statusClientGone is what logs show for a client that left before its answer (as nginx has it).
const statusClientGone = 499

var (
	refuseBody     = request.Malformed("broken body", "the body of this request broke off or is malformed")
	refuseSlowBody = request.NewRefusal(http.StatusRequestTimeout, &userkeys.Error{
		Code: userkeys.InvalidParameters, Reason: "slow body", Public: "the body of this request took too long to come",
	})
	refuseBigBody = request.NewRefusal(http.StatusRequestEntityTooLarge, &userkeys.Error{
		Code: userkeys.BodyTooLarge, Reason: "body too large", Public: "the body of this request is too large",
	})
)

// Fail answers where the upstream has not.
func (x *proxied) Fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errNotThere) {
		in := x.presented.Admitted(x.In, x.monitored.Access())
		headers.ServePrivate(x.fallback, x.Answer().Unwrap(), in, x.presented.CarriedIn())
		return
	}
	if lost := (monitor.Ended{}); errors.As(context.Cause(r.Context()), &lost) {
		WriteError(w, lost.Unwrap()) // the key ended while the upstream was thinking
		return
	}
	if cause := x.BodyFailure(); cause != nil {
		writeRefusal(w, x.In, bodyRefusal(cause))
		return
	}
	if r.Context().Err() != nil {
		w.WriteHeader(statusClientGone)
		return
	}
	path, _, _ := strings.Cut(x.Target, "?") // the query may hold secrets
	x.proxy.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "upstream did not answer",
		slog.String("method", r.Method), slog.String("path", logs.Path(path)), slog.Any("error", err))
	if s := sorryFor(err); WantsJSON(x.In) {
		s.JSON.Write(w)
	} else {
		s.Page.Write(w, x.In)
	}
}

func bodyRefusal(cause error) *request.Refusal {
	var big *http.MaxBytesError
	switch {
	case errors.As(cause, &big):
		return refuseBigBody
	case forward.IsTimeout(cause):
		return refuseSlowBody
	}
	return refuseBody
}

func sorryFor(err error) *apology.Answer {
	var op *net.OpError
	switch {
	case forward.IsTimeout(err):
		return apology.Slow
	case errors.As(err, &op) && op.Op == "dial":
		return apology.Gone
	}
	return apology.Garbled
}
