package sitecmd

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"userkeys"
	"userkeys/gateway"
	"userkeys/internal/cli"
	"userkeys/internal/demo"
	"userkeys/internal/demo/walk"
	"userkeys/internal/identity"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/internal/wiring"
	"userkeys/site"
	"userkeys/store"
)

// The people of the demo. Everything listens on this machine only.
const (
	demoUser, demoUserPassword   = "alice", "alice keeps bees"
	demoAdmin, demoAdminPassword = "root", "root likes rain"
)

func newDemoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "demo", Short: "See it work: a site, a website behind it and an app", Args: cobra.NoArgs,
		Long: `See it work, on this machine only: a userkeys site with a small website behind
it, and an app, Notifier, that asks for a key. All data is in a folder of its
own and goes away at the end.

With --walk it goes the whole round by itself over HTTP, as a browser and an app
would, prints what travels, and ends.`,
		RunE: runDemo,
	}
	cmd.Flags().Bool("walk", false, "go the whole round, print it and end")
	cmd.Flags().String("listen", "127.0.0.1:8080", "address of the site; another port if this one is taken")
	cmd.Flags().String("app-listen", "127.0.0.1:8090", "address of the app; another port if this one is taken")
	return cmd
}

// stage is the running demo.
type stage struct {
	site            *wiring.Site
	siteURL, appURL string
	siteLn, appLn   net.Listener
	upstreamLn      net.Listener
	pushLn          net.Listener // where the walk is pushed to
	pushURL         string
	adminKey        userkeys.Key // of the website
	dir             string
	close           []func() error
	walk            bool
	out             io.Writer
}

func runDemo(cmd *cobra.Command, _ []string) (err error) {
	st := &stage{out: cmd.OutOrStdout()}
	if st.walk, err = cmd.Flags().GetBool("walk"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.end()) }()
	if err := st.listen(cmd); err != nil {
		return err
	}
	if err := st.open(cmd.Context()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	var wg sync.WaitGroup
	failed := make(chan error, 3)
	st.run(ctx, &wg, failed)
	err = demo.Greet(ctx, st.notify(), demoUser, demoAdmin)
	switch {
	case err != nil:
	case st.walk:
		err = st.goRound(ctx)
	default:
		st.announce()
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	cancel()
	wg.Wait()
	return err
}

// listen takes the demo's three places. The walk takes any that are free.
func (st *stage) listen(cmd *cobra.Command) error {
	var err error
	if st.siteLn, err = demoListen(cmd, "listen", st.walk); err != nil {
		return err
	}
	if st.appLn, err = demoListen(cmd, "app-listen", st.walk); err != nil {
		return err
	}
	st.upstreamLn, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	st.pushLn, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	st.pushURL = "http://" + cli.Browsable(st.pushLn.Addr()) + "/push"
	st.siteURL, st.appURL = "http://"+cli.Browsable(st.siteLn.Addr()), "http://"+cli.Browsable(st.appLn.Addr())
	return err
}

// demoListen takes the address of a flag, or any free port if it was not asked for by name.
func demoListen(cmd *cobra.Command, flag string, anyPort bool) (net.Listener, error) {
	addr, err := cmd.Flags().GetString(flag)
	if err != nil {
		return nil, err
	}
	given := cmd.Flags().Changed(flag)
	if anyPort && !given {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil && !given {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return ln, err
}

// open makes the site, its two users and its data in a folder of its own.
func (st *stage) open(ctx context.Context) error {
	var err error
	if st.dir, err = os.MkdirTemp("", "userkeys-demo-"); err != nil {
		return err
	}
	st.close = append(st.close, func() error { return os.RemoveAll(st.dir) })
	db, err := sitedata.OpenSQLite(st.dir)
	if err != nil {
		return err
	}
	st.close = append(st.close, db.Close)
	remembered, err := wiring.OpenStore(ctx, db, store.SQLite)
	if err != nil {
		return err
	}
	base, err := url.Parse(st.siteURL)
	if err != nil {
		return err
	}
	st.site, err = wiring.Open(ctx, wiring.Config{
		Store: remembered, BaseURL: base, Upstream: &url.URL{Scheme: "http", Host: st.upstreamLn.Addr().String()},
		OwnPaths: []string{"/notifications*"}, // which The Noticeboard does not have
		Secret:   bytes.Repeat([]byte{1}, 32), // of a site that is gone in a moment
		Pinned: map[string]string{
			"title": "The Noticeboard", "allowed_user_api_push_urls": st.appURL + "/push|" + st.pushURL,
			"push_notification_time_window_mins": "0", // whoever tries the demo has just been on its pages
		},
	})
	if err != nil {
		return err
	}
	for _, u := range []identity.NewUser{
		{Username: demoAdmin, Name: "Root Administrator", Password: demoAdminPassword, TrustLevel: 4, Admin: true},
		{Username: demoUser, Name: "Alice Example", Password: demoUserPassword, TrustLevel: 1},
		{Username: "bob", Name: "Bob Example", Password: rand.Text(), TrustLevel: 1},
	} {
		if _, err := st.site.Identity.Create(ctx, u, sitedata.Actor); err != nil {
			return err
		}
	}
	st.adminKey, _, err = st.site.Authority.CreateAdminKey(ctx,
		site.NewAdminAPIKey{Description: "The Noticeboard itself"}, sitedata.Actor)
	return err
}

// notify returns how The Noticeboard notifies its users.
func (st *stage) notify() func(context.Context, demo.News) error {
	return demo.NewNotify(st.siteURL, st.adminKey.Reveal(), demoAdmin)
}

// run serves the three until ctx ends.
func (st *stage) run(ctx context.Context, wg *sync.WaitGroup, failed chan<- error) {
	for ln, h := range map[net.Listener]http.Handler{
		st.upstreamLn: demo.NewSite(demo.SiteConfig{
			NotifierURL: st.appURL, Readers: []string{demoUser, demoAdmin}, Notify: st.notify(),
		}),
		st.appLn: demo.NewNotifier(demo.NotifierConfig{SiteURL: st.siteURL, URL: st.appURL}),
	} {
		wg.Go(func() { serveUntil(ctx, ln, h, failed) })
	}
	wg.Go(func() {
		if err := runSite(ctx, st.site, st.siteLn, slog.New(slog.DiscardHandler)); err != nil {
			failed <- err
		}
	})
}

func serveUntil(ctx context.Context, ln net.Listener, h http.Handler, failed chan<- error) {
	srv := &http.Server{Handler: h}
	gateway.Limits(srv)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = srv.Shutdown(grace) // it is a demo: what does not end is left
	})
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		failed <- err
	}
}

func (st *stage) goRound(ctx context.Context) error {
	file, ok := st.out.(*os.File)
	return walk.Run(ctx, st.out, walk.Config{
		SiteURL: st.siteURL, NotifierURL: st.appURL, Push: st.pushLn, Username: demoUser, Password: demoUserPassword,
		PerMinute: st.site.Authority.Settings().MaxUserAPIReqsPerMinute,
		Colour:    ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == "",
	})
}

func (st *stage) announce() {
	fmt.Fprintf(st.out, `The Noticeboard, a website with userkeys before it:  %[1]s
Notifier, an app that nobody registered there:       %[2]s

Sign in as   %[3]s   password  %[4]s
or as        %[5]s    password  %[6]s   (administrator)

  1. Open %[2]s and press "Connect to The Noticeboard".
  2. Sign in as %[3]s. Read who asks for what; approve.
  3. Notifier has opened its answer, holds a key and shows %[3]s's notifications.
  4. Open %[1]s and post a notice: a moment later Notifier has it pushed.
  5. Open %[1]s/my/apps, revoke Notifier, and reload Notifier: the key is dead.
  6. As %[5]s, change what apps may ask for: %[1]s/user-api-key/settings

Or see every step explained: userkeys demo --walk
Stop with Ctrl-C; all data goes away.
`, st.siteURL, st.appURL, demoUser, demoUserPassword, demoAdmin, demoAdminPassword)
}

func (st *stage) end() error {
	for _, ln := range []net.Listener{st.siteLn, st.appLn, st.upstreamLn, st.pushLn} {
		if ln != nil {
			_ = ln.Close() // closed already if it was served
		}
	}
	var err error
	for i := len(st.close) - 1; i >= 0; i-- {
		err = errors.Join(err, st.close[i]())
	}
	return err
}
