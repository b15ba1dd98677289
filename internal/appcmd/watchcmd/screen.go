package watchcmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"userkeys"
	"userkeys/internal/cli"
	"userkeys/internal/watch"
)

// screen shows all accounts, and draws them again at every change.
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

// keysOf reads the keyboard for the screen: nothing that is typed is shown, q and
// Ctrl-C quit. The function that it returns restores the terminal.
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

// screenText returns the content of the screen: as many lines as fit, accounts with unread notifications first.
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
	line(cut(fmt.Sprintf("userkeys watch    %s    %d unread on %s    q ends", now.Format("15:04:05"), total,
		plural(len(states), "account")), width))
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

// wrap breaks a text into lines of a width, at most so many, at spaces if there are any.
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

// printStates prints a table. If now is given, it says how long ago each site was asked.
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
			unread, messages, state, host(s.Site), cli.OrDash(s.Name), age(s.CheckedAt, now),
			fmt.Sprintf("%d of %d", s.Budget.Day, s.Budget.PerDay),
		})
	}
	return cli.PrintTable(out, rows)
}

// known reports whether the counts are those of now.
func known(s watch.State) bool { return !s.CheckedAt.IsZero() && s.Health != watch.Dead }

// host is the address of a site without its scheme.
func host(site string) string {
	return strings.TrimPrefix(strings.TrimPrefix(site, "https://"), "http://")
}

// troubles returns a line for each account with which something is wrong.
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
		return cli.Moment(t)
	}
	d := time.Duration(now-t.Unix()) * time.Second
	if d < time.Minute {
		return "just now"
	}
	return fmt.Sprintf("%d min ago", int(d.Minutes()))
}
