package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"userkeys"
	"userkeys/gateway/internal/forward"
	"userkeys/gateway/internal/headers"
	"userkeys/gateway/internal/monitor"
	"userkeys/gateway/internal/request"
	"userkeys/internal/logs"
)

var errNotThere = errors.New("upstream has nothing there") // and somebody else has

// statusClientGone is what logs show for a client that left before its answer (as nginx has it).
const statusClientGone = 499

// apology is an answer in the upstream's place, for programs and for people. It names no address.
type apology struct {
	json *request.Refusal
	page []byte
}

func newApology(status int, reason, public string) *apology {
	e := &userkeys.Error{Code: userkeys.Internal, Reason: reason, Public: public}
	title := http.StatusText(status)
	said := strings.ToUpper(public[:1]) + public[1:] + ". Try again in a little while."
	page := `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
		`<meta name="color-scheme" content="light dark"><title>` + title + `</title></head>
<body><h1>` + title + `</h1><p>` + said + `</p></body></html>
`
	return &apology{json: request.NewRefusal(status, e), page: []byte(page)}
}

var (
	upstreamGone = newApology(http.StatusBadGateway, "upstream unreachable",
		"the site behind this address cannot be reached at the moment")
	upstreamGarbled = newApology(http.StatusBadGateway, "upstream answer invalid",
		"the site behind this address gave an answer that cannot be passed on")
	upstreamSlow = newApology(http.StatusGatewayTimeout, "upstream timeout",
		"the site behind this address took too long to answer")

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
		bodyRefusal(cause).Write(w)
		return
	}
	if r.Context().Err() != nil {
		w.WriteHeader(statusClientGone)
		return
	}
	path, _, _ := strings.Cut(x.Target, "?") // the query may hold secrets
	x.proxy.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "upstream did not answer",
		slog.String("method", r.Method), slog.String("path", logs.Path(path)), slog.Any("error", err))
	sorry := apologyFor(err)
	if WantsJSON(x.In) {
		sorry.json.Write(w)
		return
	}
	sorry.writePage(w)
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

func apologyFor(err error) *apology {
	var op *net.OpError
	switch {
	case forward.IsTimeout(err):
		return upstreamSlow
	case errors.As(err, &op) && op.Op == "dial":
		return upstreamGone
	}
	return upstreamGarbled
}

func (a *apology) writePage(w http.ResponseWriter) {
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
	w.WriteHeader(a.json.Status)
	_, _ = w.Write(a.page)
}
