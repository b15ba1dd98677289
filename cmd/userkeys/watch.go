package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"userkeys"
	"userkeys/client"
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

const watchLong = `Keeps an eye on what is unread on every site that there is a key for, or on
those named. On a terminal it is one live screen; elsewhere a line for every
change. A desktop notification tells when a count rises.

Sites are asked as often as half of their limits bears, the other half is for
your other programs. Where a site has a message bus that the key may hear (scope
notifications, message_bus or write), news comes at once. A site that does not
answer is asked less and less often.

USERKEYS_NOTIFY names a program that shows notifications, which is given a title and
a text; else notify-send, or what macOS and Windows have, is called.`

func newWatchCommand() *cobra.Command {
	w := &watching{}
	cmd := &cobra.Command{
		Use:   "watch [SITE...]",
		Short: "Watch what is unread on many sites at once",
		Long:  watchLong,
		Example: `  userkeys watch
  userkeys watch --once --json
  userkeys watch forum.example meta.example --quiet 22:00-07:30`,
		ValidArgsFunction: completeSites,
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
	f.BoolVar(&w.once, "once", false, "look once, print, and end")
	f.BoolVar(&w.asJSON, "json", false, "print JSON: one object a line, or with --once a list")
	f.BoolVar(&w.silent, "no-notify", false, "no desktop notifications")
	f.StringVar(&w.quiet, "quiet", "", "hours without notifications and with few looks, such as 22:00-07:30")
	f.DurationVar(&w.every, "every", 0, "the least time between two looks at a site (default: what its limits allow)")
	return cmd
}

func (w *watching) config(cmd *cobra.Command, sites []string) (watch.Config, error) {
	if w.every < 0 {
		return watch.Config{}, exitf(exitUsage, "--every is a time such as 5m, not %v", w.every)
	}
	quiet, err := watch.ParseQuiet(w.quiet)
	if err != nil {
		return watch.Config{}, deskError(err)
	}
	cfg, err := watcherConfig(cmd, sites)
	cfg.Quiet, cfg.Every = quiet, w.every
	return cfg, err
}

// watcherConfig opens the keys of the sites named, or all.
func watcherConfig(cmd *cobra.Command, sites []string) (watch.Config, error) {
	store, err := openKeyStore(cmd)
	if err != nil {
		return watch.Config{}, err
	}
	all, err := store.Accounts()
	if err != nil {
		return watch.Config{}, deskError(err)
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
			return watch.Config{}, deskError(err)
		}
		for _, a := range found {
			if seen[a.ID] {
				continue
			}
			seen[a.ID] = true
			c, err := store.Credential(a)
			if err != nil {
				return watch.Config{}, deskError(err)
			}
			cfg.Accounts = append(cfg.Accounts, watch.Watched{Account: a, Credential: c})
		}
	}
	cfg.Calls = keystore.OpenCalls(filepath.Dir(store.Path()))
	cfg.Current = store.Current
	cfg.Renew = func(ctx context.Context, a keystore.Account, hc *http.Client) (keystore.Account, *client.Credential, error) {
		return store.Renew(ctx, a, renewBy(hc))
	}
	return cfg, nil
}

// lookOnce prints how all accounts stand, and ends with an error if one could not be asked.
func (w *watching) lookOnce(ctx context.Context, cfg watch.Config) error {
	states := watch.New(cfg).Once(ctx)
	if w.asJSON {
		if err := writeJSON(w.out, states); err != nil {
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
			return exitf(healthCode(s.Health), "%s: %s", s.Site, s.Says)
		}
	}
	return nil
}

func healthCode(h watch.Health) int {
	switch h {
	case watch.Dead:
		return exitForbidden
	case watch.Limited:
		return exitLimited
	case watch.Missing:
		return exitRefused
	}
	return exitUnreachable
}

func (w *watching) run(ctx context.Context, cfg watch.Config) error {
	debug.SetGCPercent(50) // it runs all day beside everything else: small is better than quick
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

// screen shows all accounts, and draws them anew at every change.
func (w *watching) screen(ctx context.Context, cfg watch.Config, file *os.File) error {
	const enter, leave = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	defer keysOf(os.Stdin, quit)()
	fmt.Fprint(file, enter)
	defer fmt.Fprint(file, leave)
	var mu sync.Mutex
	var watcher *watch.Watcher
	draw := func() {
		mu.Lock()
		defer mu.Unlock()
		width, height, err := term.GetSize(int(file.Fd()))
		if err != nil {
			width, height = 80, 24
		}
		fmt.Fprint(file, "\x1b[H", screenText(watcher.States(), time.Now(), width, height), "\x1b[J")
	}
	cfg.Changed = func(watch.State) { draw() }
	watcher = watch.New(cfg)
	draw()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var ticking sync.WaitGroup
	ticking.Go(func() {
		tick := time.NewTicker(2 * time.Second) // the ages of what is shown, and the size of the window
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				draw()
			case <-ctx.Done():
				return
			}
		}
	})
	err := watcher.Run(ctx)
	if ctx.Err() == nil { // every key is dead: there is nothing more to see, and the person should see why
		<-ctx.Done()
	}
	cancel()
	ticking.Wait()
	return err
}

// keysOf takes the keyboard for the screen: nothing typed is shown, q and Ctrl-C quit. What it gives puts
// the terminal back.
func keysOf(in *os.File, quit func()) func() {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return func() {} // no keyboard: signals end the program
	}
	go func() { // until a key or the program's end: nothing can interrupt the read
		key := make([]byte, 1)
		for {
			if n, err := in.Read(key); err != nil || n == 1 && (key[0] == 'q' || key[0] == 3 || key[0] == 4) {
				quit()
				return
			}
		}
	}()
	return func() { _ = term.Restore(int(in.Fd()), before) }
}

// screenText is the screen: as many lines as there is room for, what is unread first.
func screenText(states []watch.State, now time.Time, width, height int) string {
	var b strings.Builder
	total := 0
	for _, s := range states {
		if known(s) {
			total += s.All()
		}
	}
	line := func(text string) { b.WriteString(text + "\x1b[K\r\n") }
	slices.SortStableFunc(states, func(a, b watch.State) int { return b.All() - a.All() })
	line(cut(fmt.Sprintf("userkeys watch    %s    %d unread on %s    q ends", now.Format("15:04:05"), total, plural(len(states), "account")), width))
	line("")
	var table strings.Builder
	_ = printStates(&table, states, now.Unix()) // to memory
	rows := strings.Split(strings.TrimSuffix(table.String(), "\n"), "\n")
	wrong := troubles(states)
	room := max(height-5-min(len(wrong), height/3)*2, 1)
	for i, row := range rows {
		row = cut(row, width)
		if i > 0 && states[i-1].All() > 0 && os.Getenv("NO_COLOR") == "" {
			row = "\x1b[1m" + row + "\x1b[0m"
		}
		if i == room && len(rows) > room+1 {
			line(cut(fmt.Sprintf("... and %d more; make the window taller", len(rows)-i), width))
			break
		}
		line(row)
	}
	if len(wrong) > 0 {
		line("")
	}
	for _, text := range wrong[:min(len(wrong), height/3)] {
		for i, part := range wrap(text, width, 2) {
			if i == 0 {
				line(part)
				continue
			}
			line("  " + part)
		}
	}
	return strings.TrimSuffix(b.String(), "\r\n")
}

// wrap breaks a text into at most so many lines of a width, at spaces where it can.
func wrap(text string, width, most int) []string {
	var lines []string
	for text != "" && len(lines) < most-1 && len([]rune(text)) > width && width > 10 {
		at := strings.LastIndexByte(string([]rune(text)[:width]), ' ')
		if at <= 0 {
			break
		}
		lines = append(lines, text[:at])
		text, width = text[at+1:], width-2
	}
	return append(lines, cut(text, width))
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// cut shortens a line to the width of the screen.
func cut(text string, width int) string {
	runes := []rune(text)
	if width < 4 || len(runes) <= width {
		return text
	}
	return string(runes[:width-3]) + "..."
}

// printStates prints a table; with the time of now, how old everything is.
func printStates(out io.Writer, states []watch.State, now int64) error {
	rows := [][]string{{"UNREAD", "MESSAGES", "STATE", "SITE", "ACCOUNT", "CHECKED", "CALLS TODAY"}}
	for _, s := range states {
		state := string(s.Health)
		if s.Live && s.Health == watch.Well {
			state = "live"
		}
		unread, messages := fmt.Sprint(s.Unread+s.Chat), fmt.Sprint(s.Messages)
		if !known(s) {
			unread, messages = "-", "-"
		}
		rows = append(rows, []string{
			unread, messages, state, host(s.Site), orDash(s.Name), age(s.CheckedAt, now), fmt.Sprintf("%d of %d", s.Budget.Day, s.Budget.PerDay),
		})
	}
	return printTable(out, rows)
}

// known tells whether the counts say anything about now.
func known(s watch.State) bool { return !s.CheckedAt.IsZero() && s.Health != watch.Dead }

// host is a site without what goes without saying.
func host(site string) string {
	return strings.TrimPrefix(strings.TrimPrefix(site, "https://"), "http://")
}

// troubles are what is wrong, a line for each account.
func troubles(states []watch.State) []string {
	var lines []string
	for _, s := range states {
		if s.Says != "" {
			lines = append(lines, userkeys.Printable(host(s.Site)+": "+s.Says))
		}
	}
	return lines
}

func age(t time.Time, now int64) string {
	switch {
	case t.IsZero():
		return "-"
	case now == 0:
		return moment(t)
	}
	d := time.Duration(now-t.Unix()) * time.Second
	if d < time.Minute {
		return "just now"
	}
	return fmt.Sprintf("%d min ago", int(d.Minutes()))
}

// Bounds of desktop notifications.
const (
	notifyTimeout = 10 * time.Second // of the program that shows one
	notifyPause   = 3 * time.Second  // between two
	notifyWaiting = 100              // sites whose news wait to be shown
)

// A notifier shows desktop notifications, one at a time. What comes for a site while others are shown becomes one.
type notifier struct {
	news chan risen
	done sync.WaitGroup
	end  context.CancelFunc
}

type risen struct {
	state watch.State
	rise  int
}

func startNotifier(ctx context.Context) *notifier {
	ctx, cancel := context.WithCancel(ctx)
	n := &notifier{news: make(chan risen, notifyWaiting), end: cancel}
	n.done.Go(func() {
		waiting := map[string]risen{}
		for {
			select {
			case r := <-n.news:
				r.rise += waiting[r.state.ID].rise
				waiting[r.state.ID] = r
				continue
			case <-ctx.Done():
				return
			case <-time.After(notifyPause):
			}
			for id, r := range waiting {
				delete(waiting, id)
				showDesktop(ctx, r)
				break
			}
		}
	})
	return n
}

// rise has a rise shown. Of more than anybody could look at the rest is left out.
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

// showDesktop shows a notification by what the system has for it, or USERKEYS_NOTIFY names. What sites say does not reach a
// shell or a script: it travels as arguments or in the environment. A system without such a
// program shows nothing.
func showDesktop(ctx context.Context, r risen) {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	title := host(r.state.Site)
	if r.state.Name != "" {
		title = userkeys.Printable(r.state.Name) + " on " + title
	}
	cmd := desktopCommand(ctx, title, fmt.Sprintf("%d new, %d unread", r.rise, r.state.All()))
	cmd.Env = withoutSecrets(cmd.Env)
	_ = cmd.Run() // there may be no such program
}

// withoutSecrets is an environment for programs that need none of ours.
func withoutSecrets(env []string) []string {
	if env == nil {
		env = os.Environ()
	}
	return slices.DeleteFunc(env, func(v string) bool {
		return strings.HasPrefix(v, keyEnv+"=") || strings.HasPrefix(v, passphraseEnv+"=")
	})
}

func desktopCommand(ctx context.Context, title, text string) *exec.Cmd {
	if program := os.Getenv("USERKEYS_NOTIFY"); program != "" {
		return exec.CommandContext(ctx, program, title, text)
	}
	switch runtime.GOOS {
	case "darwin":
		return exec.CommandContext(ctx, "osascript", "-e", "on run argv", "-e", "display notification (item 2 of argv) with title (item 1 of argv)", "-e", "end run", "--", title, text)
	case "windows":
		cmd := exec.CommandContext(ctx, "powershell", "-NoProfile", "-NonInteractive", "-Command", windowsNotification)
		cmd.Env = append(os.Environ(), "USERKEYS_TITLE="+title, "USERKEYS_TEXT="+text)
		return cmd
	}
	return exec.CommandContext(ctx, "notify-send", "--app-name=userkeys", "--", title, text)
}

const windowsNotification = `[Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType=WindowsRuntime] > $null
$t = [Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent([Windows.UI.Notifications.ToastTemplateType]::ToastText02)
$n = $t.GetElementsByTagName("text")
$n.Item(0).AppendChild($t.CreateTextNode($env:USERKEYS_TITLE)) > $null
$n.Item(1).AppendChild($t.CreateTextNode($env:USERKEYS_TEXT)) > $null
[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier("userkeys").Show([Windows.UI.Notifications.ToastNotification]::new($t))`
