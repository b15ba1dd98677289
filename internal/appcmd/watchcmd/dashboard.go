package watchcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
	"userkeys/internal/desktop"
	"userkeys/internal/watch"
)

// dashboardLatest is how many notifications the page shows of each account.
const dashboardLatest = 8

func newDashboardCommand() *cobra.Command {
	var port int
	var noBrowser bool
	var quiet string
	cmd := &cobra.Command{
		Use:   "dashboard [SITE...]",
		Short: "Serve a page with what is unread on all sites, on this machine only",
		Long: `Serves a page to the browser of this machine. It shows what is unread on every site
with a stored key, the newest notifications with links, a button that marks them as
read, and how many calls each key has used. The page updates itself, and works
without JavaScript. Its address contains a random token: everybody who has the
address can see the page, so do not share it. No key is in the page.

Like "userkeys watch", it uses at most half of the limits of each site.`,
		Example: `  userkeys dashboard
  userkeys dashboard --no-browser --port 8400`,
		ValidArgsFunction: appkeys.CompleteSites,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := watcherConfig(cmd, args)
			if err != nil {
				return err
			}
			if cfg.Quiet, err = watch.ParseQuiet(quiet); err != nil {
				return appkeys.ExitError(err)
			}
			open := desktop.Open
			if noBrowser || !desktop.Here() {
				open = nil
			}
			d := dashboardRun{addr: fmt.Sprintf("127.0.0.1:%d", port), open: open, out: cmd.OutOrStdout()}
			d.asJSON = cli.JSON(cmd)
			return d.run(cmd.Context(), cfg)
		},
	}
	f := cmd.Flags()
	f.IntVar(&port, "port", 0, "port to listen on (default: a free one)")
	f.BoolVar(&noBrowser, "no-browser", false, "print the address, and do not open a browser")
	cli.AddJSONFlag(cmd)
	f.StringVar(&quiet, "quiet", "", "hours with few checks, such as 22:00-07:30")
	return cmd
}

// Bounds of the dashboard's server, which only the person's own browser talks to.
const (
	dashboardTimeout     = 30 * time.Second
	dashboardHeaderBytes = 16 << 10
	dashboardGrace       = 2 * time.Second
)

// dashboardRun is one run of `userkeys dashboard`.
type dashboardRun struct {
	addr   string
	open   func(context.Context, string) error // nil: no browser
	asJSON bool
	out    io.Writer
}

func (d dashboardRun) run(ctx context.Context, cfg watch.Config) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp4", d.addr)
	if err != nil {
		return cli.Exitf(cli.ExitFailure, "cannot listen on %s: %v", d.addr, err)
	}
	var page *watch.Dashboard
	cfg.Latest = dashboardLatest
	cfg.Changed = func(watch.State) { page.Changed() }
	watcher := watch.New(cfg)
	page = watch.NewDashboard(watch.DashboardConfig{Watcher: watcher, Host: ln.Addr().String(), Now: time.Now})
	server := &http.Server{
		Handler: page, ReadHeaderTimeout: dashboardTimeout, ReadTimeout: dashboardTimeout, WriteTimeout: dashboardTimeout,
		MaxHeaderBytes: dashboardHeaderBytes, BaseContext: func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	d.announce(ctx, page.URL())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		_ = watcher.Run(ctx) // it ends with ctx and without an error
	}()
	select {
	case err = <-served:
	case <-ctx.Done():
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), dashboardGrace)
		defer cancel()
		err = server.Shutdown(stop)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		<-watched
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return cli.Exitf(cli.ExitFailure, "the page ended: %v", err)
	}
	return nil
}

// announce says where the page is, and opens it.
func (d dashboardRun) announce(ctx context.Context, address string) {
	if d.asJSON {
		_ = json.NewEncoder(d.out).Encode(map[string]string{"url": address}) // a reader that left needs none
	} else {
		fmt.Fprintf(d.out, "%s\nThe page is for you alone: whoever has its address sees it. Ctrl-C ends it.\n", address)
	}
	if d.open != nil && d.open(ctx, address) != nil && !d.asJSON {
		fmt.Fprintln(d.out, "no browser could be opened here; open the address yourself")
	}
}
