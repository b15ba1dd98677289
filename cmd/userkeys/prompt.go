package main

import (
	"context"
	"golang.org/x/term"
	"io"
	"os"
	"strings"
	"time"
)

// readSecret reads a line without showing it. Ctrl-C ends it at once and leaves the terminal as it was:
// the read itself cannot be interrupted, and ends with the program.
func readSecret(ctx context.Context, in *os.File, prompt func()) (string, error) {
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", exitf(exitFailure, "the passphrase could not be read: %v", err)
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
			return "", exitf(exitFailure, "no passphrase was given; nothing was done")
		}
		return string(r.text), nil
	case <-ctx.Done():
		_ = term.Restore(int(in.Fd()), before)
		return "", exitf(exitFailure, "interrupted; nothing was done")
	}
}

// withoutBOM is text without the byte order mark that some programs, PowerShell among them, write before what they send.
func withoutBOM(text string) string { return strings.TrimPrefix(text, "\ufeff") }

// maxDataBytes bounds the value of --data, which is held in memory.
const maxDataBytes = 64 << 20

// readData returns what a --data flag means: the text itself, with @FILE the
// content of a file, and with @- what can be read from in.
func readData(data string, in io.Reader) ([]byte, error) {
	name, fromFile := strings.CutPrefix(data, "@")
	if !fromFile {
		return []byte(data), nil
	}
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, exitf(exitUsage, "cannot read the body: %v", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxDataBytes+1))
	if err != nil {
		return nil, exitf(exitFailure, "cannot read the body: %v", err)
	}
	if len(b) > maxDataBytes {
		return nil, exitf(exitUsage, "the body is larger than %d bytes", maxDataBytes)
	}
	return b, nil
}
