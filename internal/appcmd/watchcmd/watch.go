package watchcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
	"userkeys/internal/keystore"
	"userkeys/internal/watch"
)

// watching is one run of `userkeys watch`.
type watching struct {
	once, asJSON, silent bool
	quiet                string
	every                time.Duration

	out, errs io.Writer
}

const watchLong = `Watches what is unread on every site with a stored key, or on the sites that are
named. On a terminal it shows one screen that is always current; elsewhere it
prints a line for every change. When a count rises, it shows a desktop notification.

A key uses at most half of the site's limits, so that the other half is left for
your other programs. If the site has a message bus that the key may use (scope
notifications, message_bus or write), news arrives at once. A site that does not
answer is asked less and less often.

USERKEYS_NOTIFY names the program that shows notifications; its arguments are a
title and a text. By default it is notify-send, or what macOS and Windows have.`

func newWatchCommand() *cobra.Command {
	w := &watching{}
	cmd := &cobra.Command{
		Use:   "watch [SITE...]",
		Short: "Watch what is unread on many sites at once",
		Long:  watchLong,
		Example: `  userkeys watch
  userkeys watch --once --json
  userkeys watch forum.example meta.example --quiet 22:00-07:30`,
		ValidArgsFunction: appkeys.CompleteSites,
		RunE: func(cmd *cobra.Command, args []string) error {
			w.out, w.errs = cmd.OutOrStdout(), cmd.ErrOrStderr()
			cfg, err := w.config(cmd, args)
			if err != nil {
				return err
			}
			if w.once {
				return w.lookOnce(cmd.Context(), cfg)
			}
			return w.run(cmd.Context(), cfg)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&w.once, "once", false, "check once, print the result, and exit")
	f.BoolVar(&w.asJSON, "json", false, "print JSON: one object per line, or a list with --once")
	f.BoolVar(&w.silent, "no-notify", false, "show no desktop notifications")
	f.StringVar(&w.quiet, "quiet", "", "hours without notifications and with few checks, such as 22:00-07:30")
	f.DurationVar(&w.every, "every", 0, "least time between two checks of a site (default: what its limits allow)")
	return cmd
}

func (w *watching) config(cmd *cobra.Command, sites []string) (watch.Config, error) {
	if w.every < 0 {
		return watch.Config{}, cli.Exitf(cli.ExitUsage, "--every is a time such as 5m, not %v", w.every)
	}
	quiet, err := watch.ParseQuiet(w.quiet)
	if err != nil {
		return watch.Config{}, appkeys.ExitError(err)
	}
	cfg, err := watcherConfig(cmd, sites)
	cfg.Quiet, cfg.Every = quiet, w.every
	return cfg, err
}

// watcherConfig opens the keys of the sites that are named, or all keys.
func watcherConfig(cmd *cobra.Command, sites []string) (watch.Config, error) {
	store, err := appkeys.Open(cmd)
	if err != nil {
		return watch.Config{}, err
	}
	all, err := store.Accounts()
	if err != nil {
		return watch.Config{}, appkeys.ExitError(err)
	}
	if len(sites) == 0 {
		sites = []string{""}
	}
	var cfg watch.Config
	seen := map[string]bool{}
	for _, site := range sites {
		found, err := all.At(site, "")
		if err == nil && len(found) == 0 {
			_, err = all.One("", "") // says what to do where there is none at all
		}
		if err != nil {
			return watch.Config{}, appkeys.ExitError(err)
		}
		for _, a := range found {
			if seen[a.ID] {
				continue
			}
			seen[a.ID] = true
			c, err := store.Credential(a)
			if err != nil {
				return watch.Config{}, appkeys.ExitError(err)
			}
			cfg.Accounts = append(cfg.Accounts, watch.Watched{Account: a, Credential: c})
		}
	}
	cfg.Calls = keystore.OpenCalls(filepath.Dir(store.Path()))
	cfg.Current = store.Current
	cfg.Renew = func(ctx context.Context, a keystore.Account, hc *http.Client) (keystore.Account, *client.Credential,
		error,
	) {
		return store.Renew(ctx, a, appkeys.RenewBy(hc))
	}
	return cfg, nil
}

// lookOnce prints the state of all accounts. The error says which could not be asked.
func (w *watching) lookOnce(ctx context.Context, cfg watch.Config) error {
	states := watch.New(cfg).Once(ctx)
	if w.asJSON {
		if err := cli.WriteJSON(w.out, states); err != nil {
			return err
		}
	} else {
		if err := printStates(w.out, states, 0); err != nil {
			return err
		}
		for _, line := range troubles(states) {
			fmt.Fprintln(w.out, line)
		}
	}
	for _, s := range states {
		if s.Health != watch.Well {
			return cli.Exitf(healthCode(s.Health), "%s: %s", s.Site, s.Says)
		}
	}
	return nil
}

func healthCode(h watch.Health) int {
	switch h {
	case watch.Dead:
		return cli.ExitForbidden
	case watch.Limited:
		return cli.ExitLimited
	case watch.Missing:
		return cli.ExitRefused
	}
	return cli.ExitUnreachable
}

func (w *watching) run(ctx context.Context, cfg watch.Config) error {
	debug.SetGCPercent(50) // it runs all day: little memory is worth more than speed
	if !w.silent {
		n := startNotifier(ctx)
		defer n.stop()
		cfg.Risen = n.rise
	}
	file, ok := w.out.(*os.File)
	if ok && !w.asJSON && term.IsTerminal(int(file.Fd())) {
		return w.screen(ctx, cfg, file)
	}
	cfg.Changed = w.line
	return watch.New(cfg).Run(ctx)
}

// line prints one change.
func (w *watching) line(s watch.State) {
	if w.asJSON {
		_ = json.NewEncoder(w.out).Encode(s) // a reader that left ends the program by the signal of the pipe
		return
	}
	fmt.Fprintf(w.out, "%s %s\n", time.Now().Format("15:04:05"), stateLine(s))
}

func stateLine(s watch.State) string {
	who := s.Site
	if s.Name != "" {
		who = userkeys.Printable(s.Name) + " on " + s.Site
	}
	if s.Health != watch.Well {
		return fmt.Sprintf("%s: %s: %s", who, s.Health, s.Says)
	}
	return fmt.Sprintf("%s: %d unread, %d personal messages", who, s.Unread+s.Chat, s.Messages)
}

// rise queues a desktop notification that the count of an account has risen. It drops it if too many are queued.
func (n *notifier) rise(s watch.State, rise int) {
	select {
	case n.news <- risen{s, rise}:
	default:
	}
}

func (n *notifier) stop() {
	n.end()
	n.done.Wait()
}
