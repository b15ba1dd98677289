// Package desktop opens the browser of the person who sits at this machine, and
// shows them notifications.
package desktop

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"userkeys/client"
	"userkeys/internal/cli"
)

// Open opens address in the program that $BROWSER names, else in what the system
// calls its browser. Some of those stay until their window closes, so it does
// not wait for them longer than it takes to fail.
func Open(ctx context.Context, address string) error {
	failed := make(chan error, 1)
	go func() { failed <- startBrowser(ctx, address) }()
	select {
	case err := <-failed:
		return err
	case <-time.After(2 * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func startBrowser(ctx context.Context, address string) error {
	list := os.Getenv("BROWSER")
	if list == "" {
		_ = os.Unsetenv(cli.KeyEnv) // the browser needs neither; what we need of them was read
		_ = os.Unsetenv(cli.PassphraseEnv)
		return client.OpenBrowser(ctx, address)
	}
	err := exec.ErrNotFound
	for program := range strings.SplitSeq(list, string(filepath.ListSeparator)) {
		words := browserCommand(program)
		if len(words) == 0 {
			continue
		}
		if strings.Contains(program, "%s") {
			for i := range words {
				words[i] = strings.ReplaceAll(words[i], "%s", address)
			}
		} else {
			words = append(words, address)
		}
		cmd := exec.CommandContext(ctx, words[0], words[1:]...)
		cmd.Env = cli.WithoutSecrets(nil)
		if err = cmd.Run(); err == nil {
			return nil
		}
	}
	return err
}

// browserCommand splits an entry of $BROWSER into words as a shell does: at spaces
// outside of quotes, with a backslash before what it takes literally (but on
// Windows, where paths have them). A program whose path has spaces needs no quotes
// if it exists.
func browserCommand(entry string) []string {
	entry = strings.TrimSpace(entry)
	if _, err := exec.LookPath(entry); err == nil {
		return []string{entry}
	}
	var words []string
	var word strings.Builder
	begun, quote := false, rune(0)
	escaped := false
	for _, c := range entry {
		switch {
		case escaped:
			escaped = false
			word.WriteRune(c)
		case c == '\\' && quote != '\'' && runtime.GOOS != "windows":
			escaped, begun = true, true
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, begun = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			begun = true
			word.WriteRune(c)
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}

// Here tells whether a browser on this machine is likely: not over ssh, and not without a screen.
func Here() bool {
	switch {
	case os.Getenv("BROWSER") != "":
		return true
	case os.Getenv("SSH_CONNECTION") != "":
		return false
	case runtime.GOOS == "linux" || strings.HasSuffix(runtime.GOOS, "bsd"):
		return os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
	}
	return true
}
