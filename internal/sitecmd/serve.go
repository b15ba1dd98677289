package sitecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"userkeys/gateway"
	"userkeys/internal/cli"
	"userkeys/internal/logs"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/internal/wiring"
	"userkeys/store"
)

// shutdownGrace is how long requests under way may take to end after the first signal. Docker kills
// after 10 seconds, and what was gathered must be written before.
const shutdownGrace = 8 * time.Second

// reserveBytes is what a full disk keeps free for revocations: as much as SQLite
// writes before it uses its log's room anew.
const reserveBytes = 4 << 20

const serveLong = `Run a site.

Without --upstream the site stands alone. With --upstream it is a reverse proxy
in front of your website. It answers /user-api-key and everything below it,
/api_key/generate, /my/apps, /.well-known/user-api-key, /healthz and /readyz, and
passes all other requests to the website. It checks every request that has a
User-Api-Key header, whatever the path. If the key is good, the website receives
the user's identity in X-Userkeys-... headers, which clients cannot send
themselves.

Apps also ask a site for /session/current.json and how to sign in and out,
/site/basic-info.json, /about.json, /notifications.json and what is below it,
/message-bus/ and /events (news as it happens), /do-not-disturb.json,
/user-status.json and /u/NAME.json. A site that stands alone answers all of
these. In front of a website, a GET of /session/current.json, /notifications.json
or /notifications/totals.json with a key is sent to the website, and answered
here if the website says 404 (--own none turns this off). The others are answered
here only if --own names them. --own apps stands for all of them but the last,
which is --own "/u/*". A path that ends in * or / stands for every path that
begins with it.

Every option can also be set in the environment (USERKEYS_LISTEN for --listen)
or in the --config file (listen = "..."). The command line is used first, then
the environment, then the file. In the file, [settings] pins site settings, and
each [[scope]] with name, sentence and routes adds a scope of your own.

The first start prints a link that makes the first administrator and works once.
With --setup-link every start prints one until there is an administrator.`

func newServeCommand() *cobra.Command {
	o := &sitedata.ServeOptions{}
	cmd := &cobra.Command{
		Use: "serve", Short: "Run a site, alone or in front of another website", Args: cobra.NoArgs, Long: serveLong,
		Example: `  userkeys serve --data /var/lib/userkeys --url https://keys.example
  userkeys serve --upstream http://127.0.0.1:3000 --url https://forum.example --trusted-proxy 10.0.0.0/8`,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd, o) },
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func serve(cmd *cobra.Command, o *sitedata.ServeOptions) error {
	sc, err := o.Resolve(cmd.Flags())
	if err != nil {
		return err
	}
	log, err := newLogger(o, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	cli.IgnoreHangup(cmd.InOrStdin())
	ln, err := listenOn("--listen", o.Listen)
	if err != nil {
		return err
	}
	defer ln.Close() // closed already when the server ran
	ask, err := listenForQuestions(o)
	if err != nil {
		return err
	}
	defer ask.Close()
	cfg, err := siteConfig(o, sc, cmd.Flags(), ln.Addr())
	if err != nil {
		return err
	}
	cfg.AskFrom, cfg.Logger = ask.from, log
	unlock, err := o.Lock(ln.Addr())
	if err != nil {
		return err
	}
	defer unlock()
	st, db, err := openStore(cmd.Context(), o, log)
	if err != nil {
		return err
	}
	defer db.Close()
	cfg.Store = st
	if cfg.Secret, err = openSecret(cmd.Context(), o, cfg); err != nil {
		return err
	}
	s, err := wiring.Open(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	if err := printSetupLink(cmd, s, cfg, o.SetupLink); err != nil {
		return err
	}
	logReady(log, cfg, ln, ask)
	return runSite(cmd.Context(), s, []endpoint{{ln, s.Handler()}, {ask.Listener, s.Asked()}}, log)
}

// openStore opens the store, and keeps room for revocations. The caller closes the database.
func openStore(ctx context.Context, o *sitedata.ServeOptions, log *slog.Logger) (*store.Store, io.Closer, error) {
	db, dialect, err := o.OpenDatabase(ctx)
	if err != nil {
		return nil, nil, err
	}
	st, err := wiring.OpenStore(ctx, db, dialect)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	if err := st.KeepReserve(reserveBytes); err != nil {
		log.Warn("no room is kept for revocations on a full disk", "error", err)
	}
	return st, db, nil
}

func logReady(log *slog.Logger, cfg wiring.Config, ln net.Listener, ask askListener) {
	if _, unix := ln.(*unixListener); unix && !cfg.TrustUnix {
		log.Warn("clients of a Unix socket have no address: all share what is limited by address; " +
			"if a proxy connects to it and sends X-Forwarded-For, name it with --trusted-proxy unix")
	}
	log.Info("ready", "url", cfg.BaseURL.String(), "listen", ln.Addr().String())
	if ask.Listener != nil {
		log.Info("web servers can ask", "ask-listen", ask.Addr().String(), "ask-from", ask.from)
	}
}

// openSecret reads the machine secret of a site, which the first start makes.
func openSecret(ctx context.Context, o *sitedata.ServeOptions, cfg wiring.Config) ([]byte, error) {
	secret := wiring.SecretFile{
		Replace: o.ReplaceSecret, Caller: sitedata.Operator, Now: time.Now, Logger: cfg.Logger,
	}
	var err error
	if secret.Path, secret.Own, err = o.SecretPath(); err != nil {
		return nil, err
	}
	return wiring.OpenSecret(ctx, cfg.Store, secret)
}

// endpoint is a listener and what answers there.
type endpoint struct {
	listener net.Listener // nil: the endpoint is not wanted
	handler  http.Handler
}

// runSite serves s at its endpoints until ctx ends, then lets requests end and writes what was gathered.
func runSite(ctx context.Context, s *wiring.Site, endpoints []endpoint, log *slog.Logger) error {
	endpoints = slices.DeleteFunc(endpoints, func(e endpoint) bool { return e.listener == nil })
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	ran := make(chan error, 1)
	go func() { ran <- s.Run(background) }()
	served := make(chan error, len(endpoints))
	servers := make([]*http.Server, len(endpoints))
	for i, e := range endpoints {
		servers[i] = &http.Server{Handler: e.handler, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
		gateway.Limits(servers[i])
		go func() { served <- servers[i].Serve(&loudListener{e.listener, logs.NewErrors(log, time.Now)}) }()
	}
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		log.Info("stopping")
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	s.Drain(grace)
	for _, srv := range servers {
		if srv.Shutdown(grace) != nil {
			err = errors.Join(err, srv.Close()) // streams that do not end by themselves
		}
	}
	cancel()
	stopBackground()
	if runErr := <-ran; runErr != nil {
		err = errors.Join(err, fmt.Errorf("writing what was gathered: %w", runErr))
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
