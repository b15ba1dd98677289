package sitecmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"userkeys/gateway"
	"userkeys/internal/cli"
	"userkeys/internal/logs"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/internal/wiring"
)

// shutdownGrace is how long requests under way may take to end after the first signal. Docker kills
// after 10 seconds, and what was gathered must be written before.
const shutdownGrace = 8 * time.Second

// reserveBytes is what a full disk keeps free for revocations: as much as SQLite
// writes before it uses its log's room anew.
const reserveBytes = 4 << 20

const serveLong = `Run a site.

Without --upstream it stands alone. With --upstream it is a reverse proxy before
your website: /user-api-key and all below it, /api_key/generate, /my/apps,
/.well-known/user-api-key, /healthz and /readyz are answered here, everything
else goes to the website. A request with a User-Api-Key header is checked on
every path; if it may pass, the website gets the user's identity in
X-Userkeys-... headers, which no client can send itself.

Apps also ask a site for /session/current.json and how to sign in and out,
/site/basic-info.json, /about.json, /notifications.json and what lies below,
/message-bus/ and /events (news as it comes), /do-not-disturb.json,
/user-status.json and /u/NAME.json. Alone, all are answered here. Before a website,
GET of /session/current.json, /notifications.json and /notifications/totals.json
with a key goes to the website and is answered here if it says 404 (--own none:
not even that); all else only where --own names it. --own apps stands for all but
the last, which is --own /u/*; a path that ends in * or / stands for everything
that begins so.

Every option can also be set in the environment (USERKEYS_LISTEN for --listen)
or in the --config file (listen = "..."); the command line wins, then the
environment, then the file. In the file, [settings] pins site settings, and
each [[scope]] with name, sentence and routes adds a scope of your own.

The first start prints a one-time link that makes the first administrator. With
--setup-link every start prints one until there is an administrator.`

func newServeCommand() *cobra.Command {
	o := &sitedata.ServeOptions{}
	cmd := &cobra.Command{
		Use: "serve", Short: "Run a site, alone or before another website", Args: cobra.NoArgs, Long: serveLong,
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
	ln, err := listenOn(o.Listen)
	if err != nil {
		return err
	}
	defer ln.Close() // closed already when the server ran
	cfg, err := siteConfig(o, cmd.Flags(), ln.Addr())
	if err != nil {
		return err
	}
	cfg.Scopes, cfg.Pinned, cfg.Logger = sc.Scopes, sc.Pinned, log
	unlock, err := o.Lock(ln.Addr())
	if err != nil {
		return err
	}
	defer unlock()
	db, dialect, err := o.OpenDatabase(cmd.Context())
	if err != nil {
		return err
	}
	defer db.Close()
	if cfg.Store, err = wiring.OpenStore(cmd.Context(), db, dialect); err != nil {
		return err
	}
	if err := cfg.Store.KeepReserve(reserveBytes); err != nil {
		log.Warn("no room is kept for revocations on a full disk", "error", err)
	}
	secret := wiring.SecretFile{Replace: o.ReplaceSecret, Caller: sitedata.Operator, Now: time.Now, Logger: log}
	if secret.Path, secret.Own, err = o.SecretPath(); err != nil {
		return err
	}
	if cfg.Secret, err = wiring.OpenSecret(cmd.Context(), cfg.Store, secret); err != nil {
		return err
	}
	s, err := wiring.Open(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	if err := printSetupLink(cmd, s, cfg.BaseURL, o.SetupLink); err != nil {
		return err
	}
	log.Info("ready", "url", cfg.BaseURL.String(), "listen", ln.Addr().String())
	return runSite(cmd.Context(), s, ln, log)
}

// runSite serves s on ln until ctx ends, then lets requests end and writes what was gathered.
func runSite(ctx context.Context, s *wiring.Site, ln net.Listener, log *slog.Logger) error {
	srv := &http.Server{Handler: s.Handler(), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	gateway.Limits(srv)
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	ran := make(chan error, 1)
	go func() { ran <- s.Run(background) }()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(&loudListener{ln, logs.NewErrors(log, time.Now)}) }()

	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		log.Info("stopping")
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		s.Drain(grace)
		if err = srv.Shutdown(grace); err != nil {
			err = srv.Close() // streams that do not end by themselves
		}
		cancel()
	}
	stopBackground()
	if runErr := <-ran; runErr != nil {
		err = errors.Join(err, fmt.Errorf("writing what was gathered: %w", runErr))
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
