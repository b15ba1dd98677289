package sitecmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"userkeys"
	"userkeys/gateway"
	"userkeys/internal/cli"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/internal/wiring"
	"userkeys/server"
	"userkeys/store"
)

// shutdownGrace is how long requests under way may take to end after the first signal. Docker kills
// after 10 seconds, and what was gathered must be written before.
const shutdownGrace = 8 * time.Second

// reserveBytes is what a full disk keeps free for revocations: as much as SQLite
// writes before it uses its log's room anew.
const reserveBytes = 4 << 20

func newServeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Run a site, alone or before another website", Args: cobra.NoArgs,
		Long: `Run a site.

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
--setup-link every start prints one until there is an administrator.`,
		Example: `  userkeys serve --data /var/lib/userkeys --url https://keys.example
  userkeys serve --upstream http://127.0.0.1:3000 --url https://forum.example --trusted-proxy 10.0.0.0/8`,
		RunE: serve,
	}
	sitedata.AddServeFlags(cmd.Flags())
	return cmd
}

func serve(cmd *cobra.Command, _ []string) error {
	sc, err := sitedata.Resolve(cmd)
	if err != nil {
		return err
	}
	log, err := newLogger(cmd, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	listen, err := cmd.Flags().GetString("listen")
	if err != nil {
		return err
	}
	cli.IgnoreHangup(cmd.InOrStdin())
	ln, err := listenOn(listen)
	if err != nil {
		return err
	}
	defer ln.Close() // closed already when the server ran
	cfg, err := siteOptions(cmd, sc, ln.Addr())
	if err != nil {
		return err
	}
	cfg.Logger = log
	unlock, err := sitedata.LockData(cmd, ln.Addr())
	if err != nil {
		return err
	}
	defer unlock()
	db, dialect, err := sitedata.OpenDatabase(cmd)
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
	if cfg.Secret, err = machineSecret(cmd, cfg.Store, log); err != nil {
		return err
	}
	s, err := wiring.Open(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	if err := printSetupLink(cmd, s, cfg.BaseURL); err != nil {
		return err
	}
	log.Info("ready", "url", cfg.BaseURL.String(), "listen", ln.Addr().String())
	return runSite(cmd.Context(), s, ln, log)
}

// siteOptions reads what a site needs from the flags of serve.
func siteOptions(cmd *cobra.Command, sc sitedata.Config, addr net.Addr) (wiring.Config, error) {
	cfg := wiring.Config{Scopes: sc.Scopes, Pinned: sc.Pinned}
	f := cmd.Flags()
	base, err := f.GetString("url")
	if err != nil {
		return cfg, err
	}
	if cfg.OnlyHost = base != ""; !cfg.OnlyHost {
		base = "http://" + cli.Browsable(addr)
	}
	if cfg.BaseURL, err = parseOrigin("--url", base); err != nil {
		return cfg, err
	}
	upstream, err := f.GetString("upstream")
	if err != nil {
		return cfg, err
	}
	if upstream != "" {
		if cfg.Upstream, err = parseOrigin("--upstream", upstream); err != nil {
			return cfg, err
		}
	}
	if cfg.UpstreamTimeout, err = f.GetDuration("upstream-timeout"); err != nil {
		return cfg, err
	}
	if cfg.MinUploadRate, err = minUploadRate(f); err != nil {
		return cfg, err
	}
	own, err := f.GetStringSlice("own")
	if err != nil {
		return cfg, err
	}
	if cfg.OwnPaths, cfg.NoFallback, err = OwnPaths(own); err != nil {
		return cfg, err
	}
	if cfg.VaryByKey, err = f.GetBool("vary-by-key"); err != nil {
		return cfg, err
	}
	if cfg.TrustedProxies, err = trustedProxies(cmd); err != nil {
		return cfg, err
	}
	cfg.ClientIPHeader, err = clientIPHeader(cmd, cfg.TrustedProxies)
	return cfg, err
}

// minUploadRate reads the flag as [gateway.ProxyConfig] has it: there a negative rate is none.
func minUploadRate(f *pflag.FlagSet) (int, error) {
	rate, err := f.GetInt("min-upload-rate")
	switch {
	case err != nil:
		return 0, err
	case rate < 0 || rate > 1<<20:
		return 0, fmt.Errorf("--min-upload-rate: %d is not between 0 and %d bytes a second", rate, 1<<20)
	case rate == 0:
		return -1, nil
	}
	return rate, nil
}

// machineSecret reads the secret that pushes are signed with.
func machineSecret(cmd *cobra.Command, st *store.Store, log *slog.Logger) ([]byte, error) {
	f := wiring.SecretFile{Caller: sitedata.Actor, Now: time.Now, Logger: log}
	var err error
	if f.Path, err = cmd.Flags().GetString("secret-file"); err != nil {
		return nil, err
	}
	if f.Own = f.Path == ""; f.Own {
		dir, err := cmd.Flags().GetString("data")
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("the machine secret has no place (give --secret-file): %w", err)
		}
		f.Path = filepath.Join(dir, sitedata.SecretName)
	}
	if f.Replace, err = cmd.Flags().GetBool("replace-secret"); err != nil {
		return nil, err
	}
	return wiring.OpenSecret(cmd.Context(), st, f)
}

// Words that --own takes beside paths.
const (
	ownApps = "apps" // everything that apps ask a site for
	ownNone = "none" // nothing, also where the website says 404
)

// OwnPaths are the values of --own with the words written out. none tells whether not even the
// website's 404 is answered here.
func OwnPaths(values []string) (paths []string, none bool, err error) {
	for _, v := range values {
		switch {
		case v == ownApps:
			paths = append(paths, server.EndpointPaths()...)
		case v == ownNone:
			none = true
		case strings.HasPrefix(v, "/"):
			paths = append(paths, v)
		default:
			return nil, false,
				fmt.Errorf("--own: %q is neither a path such as /session/current.json nor %s or %s", v, ownApps, ownNone)
		}
	}
	return paths, none, nil
}

func trustedProxies(cmd *cobra.Command) ([]netip.Prefix, error) {
	list, err := cmd.Flags().GetStringSlice("trusted-proxy")
	if err != nil {
		return nil, err
	}
	prefixes, err := gateway.ParseTrustedProxies(list)
	if err != nil {
		return nil, fmt.Errorf("--trusted-proxy: %s", cli.Explain(err))
	}
	return prefixes, nil
}

// clientIPHeader refuses a header that would be believed nowhere.
func clientIPHeader(cmd *cobra.Command, trusted []netip.Prefix) (string, error) {
	const flag = "client-ip-header"
	header, err := cmd.Flags().GetString(flag)
	if err != nil {
		return "", err
	}
	if cmd.Flags().Changed(flag) && len(trusted) == 0 {
		return "", fmt.Errorf("--%s: name the proxies that send it with --trusted-proxy; nobody else is believed", flag)
	}
	if _, err := gateway.NewClientIPs(gateway.ClientIPConfig{Header: header}); err != nil {
		return "", fmt.Errorf("--%s: %s", flag, cli.Explain(err))
	}
	return header, nil
}

// parseOrigin reads an address that is scheme and host only, and spells it as browsers do.
func parseOrigin(flag, s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		if at := strings.LastIndexByte(s, '@'); at >= 0 {
			s = "..." + s[at:] // what stands before it may be a password, and this goes to logs
		}
		return nil, fmt.Errorf("%s: %q is no address such as http://127.0.0.1:3000 (scheme, host and port only)", flag, s)
	}
	host, err := userkeys.OriginHost(u)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", flag, cli.Explain(err))
	}
	return &url.URL{Scheme: u.Scheme, Host: host}, nil
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
	go func() { served <- srv.Serve(&loudListener{Listener: ln, log: log, now: time.Now}) }()

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
