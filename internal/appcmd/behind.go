package appcmd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"userkeys/internal/cli"
	"userkeys/internal/doctor"
	"userkeys/internal/doctor/behind"
)

// runBehind finds out which forged headers reach the echo of a site.
func (d *examining) runBehind(ctx context.Context, site string) error {
	if !strings.Contains(site, "://") {
		site = "https://" + site
	}
	u, err := url.Parse(site)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
		return cli.Exitf(cli.ExitUsage, "%q is no address such as https://forum.example/echo", site)
	}
	requests := 0
	cfg := behind.Config{Site: site, Asked: func() { requests++ }}
	d.accounts, d.noKey = d.store.Accounts()
	key, err := d.openKey(u.Scheme + "://" + u.Host)
	switch {
	case err != nil:
		return err
	case key != nil:
		cfg.Key = key.Key
	}
	findings := behind.Examine(ctx, cfg)
	if err := d.print(findings, requests); err != nil {
		return err
	}
	if behind.NoEcho(findings) {
		return cli.Exitf(cli.ExitFailure, "not checked: no echo answered")
	}
	if count(findings, doctor.Problem) > 0 {
		return cli.Exitf(cli.ExitFailure, "not everything that a client forges stops before the website")
	}
	return nil
}

const echoTimeout = 10 * time.Second

// runEcho answers requests as the echo until the command ends.
func (d *examining) runEcho(cmd *cobra.Command) error {
	ctx := cmd.Context()
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", d.echo)
	if err != nil {
		return cli.Exitf(cli.ExitFailure, "--echo: %s", err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "The echo for userkeys doctor --behind listens on http://%s; Ctrl-C ends it.\n",
		cli.Browsable(ln.Addr()))
	srv := &http.Server{
		Handler: behind.Echo(), ReadHeaderTimeout: echoTimeout, ReadTimeout: echoTimeout, WriteTimeout: echoTimeout,
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
