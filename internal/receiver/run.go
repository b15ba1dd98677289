package receiver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// Bounds of the server: anybody may send requests to it.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 15 * time.Second
	answerTimeout  = 30 * time.Second // after the delay of Faults
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 32 << 10
	grace          = 2 * time.Second // for requests that are being handled at the end
)

// Run serves on ln until ctx ends, by TLS if cfg is not nil. At the end it closes connections that hang on
// purpose.
func (rc *Receiver) Run(ctx context.Context, ln net.Listener, cfg *tls.Config) error {
	stopping, stop := context.WithCancel(ctx)
	defer stop()
	srv := &http.Server{
		Handler: rc, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: rc.cfg.Faults.Delay + answerTimeout,
		IdleTimeout:  idleTimeout, MaxHeaderBytes: maxHeaderBytes, TLSConfig: cfg,
		BaseContext: func(net.Listener) context.Context { return stopping }, ErrorLog: log.New(io.Discard, "", 0),
	}
	served := make(chan error, 1)
	go func() {
		if cfg != nil {
			served <- srv.ServeTLS(ln, "", "") // the certificate is in cfg
			return
		}
		served <- srv.Serve(ln)
	}()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if err = srv.Shutdown(end); err != nil {
			err = srv.Close()
		}
		<-served
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
