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
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"userkeys"
	"userkeys/gateway"
	"userkeys/internal/cli"
	"userkeys/internal/demo"
	"userkeys/internal/demo/walk"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/internal/sso"
	"userkeys/internal/wiring"
	"userkeys/site"
	"userkeys/store"
)

// The people of the demo. Everything listens on this machine only.
const (
	demoUser, demoUserPassword   = "alice", "alice keeps bees"
	demoAdmin, demoAdminPassword = "rosa", "rosa likes rain"

	demoLogin = "noticeboard" // the login through which they sign in
)

func newDemoCommand() *cobra.Command {
	d := &runningDemo{}
	cmd := &cobra.Command{
		Use: "demo", Short: "Run a demonstration: a site, a website behind it and an app", Args: cobra.NoArgs,
		Long: `Run a demonstration on this machine: a userkeys site with a small website behind
it, and an app, Notifier, that asks for a key. All data is in a temporary folder,
which is deleted at the end.

With --walk the command makes every request of a browser and an app by itself,
prints what is sent and received, and exits.`,
		RunE: d.run,
	}
	f := cmd.Flags()
	f.BoolVar(&d.walk, "walk", false, "make every request, print what is sent and received, and exit")
	f.StringVar(&d.listen, "listen", "127.0.0.1:8080", "address of the site; if the default is taken, a free port")
	f.StringVar(&d.appListen, "app-listen", "127.0.0.1:8090", "address of the app; if the default is taken, a free port")
	return cmd
}

// runningDemo is one run of `userkeys demo`.
type runningDemo struct {
	walk              bool
	listen, appListen string

	site            *wiring.Site
	siteURL, appURL string
	siteLn, appLn   net.Listener
	upstreamLn      net.Listener
	pushLn          net.Listener // where the walk is pushed to
	pushURL         string
	adminKey        userkeys.Key // of the website
	secret          string       // with which the website tells who is at a browser
	dir             string
	close           []func() error
	out             io.Writer
}

func (d *runningDemo) run(cmd *cobra.Command, _ []string) (err error) {
	d.out = cmd.OutOrStdout()
	defer func() { err = errors.Join(err, d.end()) }()
	if err := d.listenAll(cmd.Flags()); err != nil {
		return err
	}
	if err := d.open(cmd.Context()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	var wg sync.WaitGroup
	failed := make(chan error, 3)
	d.serve(ctx, &wg, failed)
	err = demo.Greet(ctx, d.notify(), demoUser, demoAdmin)
	switch {
	case err != nil:
	case d.walk:
		err = d.goRound(ctx)
	default:
		d.announce()
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	cancel()
	wg.Wait()
	return err
}

// listenAll takes the addresses of the demo. The walk takes any that are free.
func (d *runningDemo) listenAll(f *pflag.FlagSet) error {
	var err error
	if d.siteLn, err = d.listenOn(d.listen, f.Changed("listen")); err != nil {
		return err
	}
	if d.appLn, err = d.listenOn(d.appListen, f.Changed("app-listen")); err != nil {
		return err
	}
	d.upstreamLn, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.pushLn, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.pushURL = "http://" + cli.Browsable(d.pushLn.Addr()) + "/push"
	d.siteURL, d.appURL = "http://"+cli.Browsable(d.siteLn.Addr()), "http://"+cli.Browsable(d.appLn.Addr())
	return err
}

// listenOn listens on an address, or on a free port if the address was not given by a flag.
func (d *runningDemo) listenOn(addr string, given bool) (net.Listener, error) {
	if d.walk && !given {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil && !given {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return ln, err
}

// people are the users of the website, who sign in there.
func (d *runningDemo) people() []demo.Person {
	return []demo.Person{
		{Username: demoUser, Name: "Alice Example", Password: demoUserPassword},
		{Username: "bob", Name: "Bob Example", Password: rand.Text()},
		{Username: demoAdmin, Name: "Rosa Administrator", Password: demoAdminPassword},
	}
}

// login is the way in: the website tells who is at the browser.
func (d *runningDemo) login(base *url.URL) sso.Login {
	return sso.Login{
		Name: demoLogin, Title: "The Noticeboard", Issuer: d.siteURL, Kind: sso.KindDiscourse,
		Rules: sso.Rules{
			TrustLevel: 1, Rules: []sso.Rule{{User: demoAdmin, Admin: true, TrustLevel: 4}},
		},
		Discourse: sso.ConnectConfig{URL: base.JoinPath(demo.HandOverPath), Secret: d.secret},
	}
}

// open makes the site, its users and its data in a folder of its own.
func (d *runningDemo) open(ctx context.Context) error {
	var err error
	if d.dir, err = os.MkdirTemp("", "userkeys-demo-"); err != nil {
		return err
	}
	d.close = append(d.close, func() error { return os.RemoveAll(d.dir) })
	db, err := sitedata.OpenSQLite(d.dir)
	if err != nil {
		return err
	}
	d.close = append(d.close, db.Close)
	remembered, err := wiring.OpenStore(ctx, db, store.SQLite)
	if err != nil {
		return err
	}
	base, err := url.Parse(d.siteURL)
	if err != nil {
		return err
	}
	d.secret = rand.Text()
	d.site, err = wiring.Open(ctx, wiring.Config{
		NoPasswords: true, Logins: []sso.Login{d.login(base)},
		Store: remembered, BaseURL: base, Upstream: &url.URL{Scheme: "http", Host: d.upstreamLn.Addr().String()},
		OwnPaths: []string{"/notifications*"}, // which The Noticeboard does not have
		Secret:   bytes.Repeat([]byte{1}, 32), // of a site that is gone in a moment
		Pinned: map[string]string{
			"title": "The Noticeboard", "allowed_user_api_push_urls": d.appURL + "/push|" + d.pushURL,
			"push_notification_time_window_mins": "0", // whoever tries the demo has just been on its pages
		},
	})
	if err != nil {
		return err
	}
	if err := d.syncPeople(ctx); err != nil {
		return err
	}
	d.adminKey, _, err = d.site.Authority.CreateAdminKey(ctx,
		site.NewAdminAPIKey{Description: "The Noticeboard itself"}, sitedata.Operator)
	return err
}

// syncPeople tells userkeys of the website's users before they come, so that they can be notified.
func (d *runningDemo) syncPeople(ctx context.Context) error {
	users := site.Sync{Login: demoLogin}
	for _, p := range d.people() {
		users.Users = append(users.Users, site.SyncedUser{ExternalID: p.Username, Username: p.Username, Name: p.Name})
	}
	outcomes, err := d.site.Logins.Sync(ctx, users, sitedata.Operator)
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		if o.Error != "" {
			return fmt.Errorf("making the user %s: %s", o.ExternalID, o.Error)
		}
	}
	return nil
}

// notify returns how The Noticeboard notifies its users.
func (d *runningDemo) notify() func(context.Context, demo.News) error {
	return demo.NewNotify(d.siteURL, d.adminKey.Reveal(), demoAdmin)
}

// serve serves the three until ctx ends.
func (d *runningDemo) serve(ctx context.Context, wg *sync.WaitGroup, failed chan<- error) {
	for ln, h := range map[net.Listener]http.Handler{
		d.upstreamLn: demo.NewSite(demo.SiteConfig{
			People: d.people(), Secret: d.secret, NotifierURL: d.appURL,
			Readers: []string{demoUser, demoAdmin}, Notify: d.notify(),
		}),
		d.appLn: demo.NewNotifier(demo.NotifierConfig{SiteURL: d.siteURL, URL: d.appURL}),
	} {
		wg.Go(func() { serveUntil(ctx, ln, h, failed) })
	}
	wg.Go(func() {
		if err := runSite(ctx, d.site, []endpoint{{d.siteLn, d.site.Handler()}}, slog.New(slog.DiscardHandler)); err != nil {
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

// goRound makes every request of the walk.
func (d *runningDemo) goRound(ctx context.Context) error {
	file, ok := d.out.(*os.File)
	return walk.Run(ctx, d.out, walk.Config{
		SiteURL: d.siteURL, NotifierURL: d.appURL, Push: d.pushLn, Username: demoUser, Password: demoUserPassword,
		PerMinute: d.site.Authority.Settings().MaxUserAPIReqsPerMinute,
		Colour:    ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == "",
	})
}

func (d *runningDemo) announce() {
	fmt.Fprintf(d.out, `The Noticeboard, a website with userkeys before it:  %[1]s
Notifier, an app that nobody registered there:       %[2]s

The Noticeboard has users of its own, who sign in there and nowhere else:
  %[3]s   password  %[4]s
  %[5]s    password  %[6]s   (administrator)

  1. Open %[2]s and press "Connect to The Noticeboard".
  2. Sign in to The Noticeboard as %[3]s. Read who asks for what; approve.
  3. Notifier has opened its answer, holds a key and shows %[3]s's notifications.
  4. Open %[1]s and post a notice: a moment later Notifier has it pushed.
  5. Open %[1]s/my/apps, revoke Notifier, and reload Notifier: the key is dead.
  6. In a private window, as %[5]s, change what apps may ask for:
     %[1]s/user-api-key/settings

Or see every step explained: userkeys demo --walk
Stop with Ctrl-C; all data goes away.
`, d.siteURL, d.appURL, demoUser, demoUserPassword, demoAdmin, demoAdminPassword)
}

func (d *runningDemo) end() error {
	for _, ln := range []net.Listener{d.siteLn, d.appLn, d.upstreamLn, d.pushLn} {
		if ln != nil {
			_ = ln.Close() // closed already if it was served
		}
	}
	var err error
	for i := len(d.close) - 1; i >= 0; i-- {
		err = errors.Join(err, d.close[i]())
	}
	return err
}
