package client

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"strings"
	"time"

	"userkeys"
)

// A Loopback listens on an address of this machine for the redirect of a site to the app (RFC 8252, 7.3). The path
// of its address is random, so that no other page or program can send a payload in the site's place. It accepts
// only requests with that very address in the Host header, so that no host name of somebody else leads to it.
type Loopback struct {
	app      string
	host     string // address and port, as browsers send it
	path     string
	results  chan loopbackResult // holds the one result
	server   *http.Server
	finished chan struct{} // closed when the server's goroutine has ended
}

// A loopbackResult is a payload, or the error that the user has denied.
type loopbackResult struct {
	payload string
	err     error
}

// Bounds of the listener. A browser's request with a payload is far smaller.
const (
	loopbackHeaderBytes = 32 << 10
	maxPayloadBytes     = 16 << 10
	loopbackTimeout     = 10 * time.Second
	loopbackGrace       = time.Second // for the browser to get the page before we close
)

// ListenLoopback listens on a free port of 127.0.0.1. The page that the browser shows at the end names the
// application. Call [Loopback.Close] in any case.
//
// Errors: [userkeys.Unavailable] if this machine does not let it listen.
func ListenLoopback(ctx context.Context, applicationName string) (*Loopback, error) {
	return listenLoopback(ctx, applicationName, 0)
}

func listenLoopback(ctx context.Context, applicationName string, port int) (*Loopback, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, &userkeys.Error{
			Code:   userkeys.Unavailable,
			Public: "cannot listen on 127.0.0.1; choose another port, or use the paste flow", Err: err,
		}
	}
	l := &Loopback{
		app: applicationName, host: ln.Addr().String(), path: "/answer/" + RandomID(),
		results: make(chan loopbackResult, 1), finished: make(chan struct{}),
	}
	l.server = &http.Server{
		Handler:           l,
		ReadHeaderTimeout: loopbackTimeout, ReadTimeout: loopbackTimeout,
		WriteTimeout: loopbackTimeout, IdleTimeout: loopbackTimeout,
		MaxHeaderBytes: loopbackHeaderBytes,
	}
	l.server.SetKeepAlivesEnabled(false)
	go func() {
		defer close(l.finished)
		_ = l.server.Serve(ln) // always ErrServerClosed or a dead listener; Wait ends by its context then
	}()
	return l, nil
}

// RedirectURL returns the auth_redirect for the request.
func (l *Loopback) RedirectURL() string { return "http://" + l.host + l.path }

// Wait returns the payload when it has come.
//
// Errors: [ErrDenied] if the user has denied, which only userkeys sites tell; the error of ctx.
func (l *Loopback) Wait(ctx context.Context) (string, error) {
	select {
	case a := <-l.results:
		return a.payload, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Close stops listening, after the browser has got its page.
func (l *Loopback) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), loopbackGrace)
	defer cancel()
	err := l.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = l.server.Close()
	}
	<-l.finished
	return err
}

// ServeHTTP answers the browser. It takes the first request with a payload; others, such as a reload or the
// request of another program, are refused and change nothing.
func (l *Loopback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri "+
		"'none'; form-action 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	payload := r.URL.Query()["payload"]
	switch {
	case r.Host != l.host:
		l.answer(w, http.StatusMisdirectedRequest, "Wrong address", "Nothing lives under this name.")
	case r.URL.Path != l.path:
		l.answer(w, http.StatusNotFound, "Nothing here", "This address waits for one answer, on another path.")
	case r.Method != http.MethodGet:
		h.Set("Allow", http.MethodGet)
		l.answer(w, http.StatusMethodNotAllowed, "Not like this", "The answer comes by a redirect of the browser.")
	case r.URL.Query().Get("error") == "access_denied":
		l.take(w, loopbackResult{err: ErrDenied}, "Nothing was given", "You said no. You can close this window.")
	case len(payload) != 1 || strings.TrimSpace(payload[0]) == "" || len(payload[0]) > maxPayloadBytes:
		l.answer(w, http.StatusBadRequest, "No answer in it",
			"The site sent the browser here without its answer. Go back and approve again.")
	default:
		l.take(w, loopbackResult{payload: payload[0]}, "You can close this window",
			"The site's answer has arrived. Go back to "+l.app+".")
	}
}

// take passes on the first payload or denial, and only that.
func (l *Loopback) take(w http.ResponseWriter, a loopbackResult, title, text string) {
	select {
	case l.results <- a:
		l.answer(w, http.StatusOK, title, text)
	default:
		l.answer(w, http.StatusGone, "Answered already", "You can close this window.")
	}
}

func (l *Loopback) answer(w http.ResponseWriter, status int, title, text string) {
	w.WriteHeader(status)
	_ = loopbackPage.Execute(w, struct{ Title, Text string }{title, text}) // a browser that left needs no page
}

var loopbackPage = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Title}}</title>
<style>:root{color-scheme:light dark}h1{font-size:1.4rem}
body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}</style>
</head><body><main><h1>{{.Title}}</h1><p>{{.Text}}</p></main></body></html>
`))
