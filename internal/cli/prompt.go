package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// ReadSecret reads a line without showing it. Ctrl-C ends it at once and restores the terminal. The read itself
// cannot be interrupted; it ends with the program.
func ReadSecret(ctx context.Context, in *os.File, prompt func()) (string, error) {
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", Exitf(ExitFailure, "the passphrase could not be read: %v", err)
	}
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := term.ReadPassword(int(in.Fd()))
		done <- result{text, err}
	}()
	time.Sleep(50 * time.Millisecond) // until what is typed is not shown any more
	prompt()
	select {
	case r := <-done:
		if r.err != nil {
			return "", Exitf(ExitFailure, "no passphrase was given; nothing was done")
		}
		return string(r.text), nil
	case <-ctx.Done():
		_ = term.Restore(int(in.Fd()), before)
		return "", Exitf(ExitFailure, "interrupted; nothing was done")
	}
}

// WithoutBOM returns text without the byte order mark that some programs, PowerShell among them, write at the
// beginning.
func WithoutBOM(text string) string { return strings.TrimPrefix(text, "\ufeff") }

// maxDataBytes bounds files and the value of --data, which are held in memory.
const maxDataBytes = 64 << 20

// ReadFile returns the content of a file, or for the name - what can be read from in.
func ReadFile(name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxDataBytes+1))
	if err == nil && len(text) > maxDataBytes {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxDataBytes)
	}
	return text, err
}

// ReadData returns the value of a --data flag: the text itself, or the content of a file for @FILE, or what can be
// read from in for @-.
func ReadData(data string, in io.Reader) ([]byte, error) {
	name, fromFile := strings.CutPrefix(data, "@")
	if !fromFile {
		return []byte(data), nil
	}
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, Exitf(ExitUsage, "cannot read the body: %v", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxDataBytes+1))
	if err != nil {
		return nil, Exitf(ExitFailure, "cannot read the body: %v", err)
	}
	if len(b) > maxDataBytes {
		return nil, Exitf(ExitUsage, "the body is larger than %d bytes", maxDataBytes)
	}
	return b, nil
}
