package keycmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/skip2/go-qrcode"
	"golang.org/x/term"

	"userkeys/client"
	"userkeys/internal/cli"
)

// wrongPaste returns a function that asks a person at a terminal to paste again, or nil if the input is no terminal.
func (l *login) wrongPaste() func(error) {
	in, ok := l.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	return func(err error) {
		fmt.Fprintf(l.warn, "%s\nPaste it again, and end with an empty line (Ctrl-C gives up):\n", cli.Public(err))
	}
}

// show prints the address to open, also if a browser opens, because the browser may fail.
func (l *login) show(ctx context.Context, address string, p *cli.Progress) error {
	fmt.Fprintf(l.talk, "Open this address, sign in and approve:\n\n%s\n\n", address)
	if !strings.Contains(address, "auth_redirect=") {
		l.asked = client.FlowPaste
		fmt.Fprintln(l.talk, "The page then shows a long text. Paste it here, all of it (an empty line ends it):")
		return nil
	}
	l.asked = client.FlowLoopback
	if !l.noBrowser {
		if err := l.open(ctx, address); err != nil {
			fmt.Fprintln(l.warn, "no browser could be opened here; open the address yourself")
		}
	}
	fmt.Fprintln(l.talk, "Waiting for the answer (Ctrl-C gives up; --device or --paste is for a browser on "+
		"another machine) ...")
	p.Start()
	return nil
}

// showCode prints the address to open and the code to type. On a terminal it also shows the address as a QR code.
func (l *login) showCode(d *client.DeviceAuthorization) {
	if out, ok := l.talk.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
		width, _, sizeErr := term.GetSize(int(out.Fd()))
		qr, err := qrcode.New(d.VerificationURIWithRequest, qrcode.Low)
		if err == nil && sizeErr == nil && width > len(qr.Bitmap()) {
			fmt.Fprintln(l.talk, qr.ToSmallString(false))
		}
	}
	fmt.Fprintf(l.talk, "Open this address on any device, and type the code:\n\n    %s\n\n    %s\n\n",
		d.VerificationURI, d.UserCode)
	fmt.Fprintf(l.talk, "Waiting for the approval, for at most %v (Ctrl-C gives up) ...\n", min(d.ExpiresIn, l.timeout))
}

// maxPasteBytes bounds what is read; a payload has at most 1400 characters.
const maxPasteBytes = 64 << 10

// readPaste reads lines until the payload is complete or the input ends. The
// reading goroutine may outlive a cancelled wait: nothing can interrupt a read of a
// terminal, and the program ends then.
func (l *login) readPaste(ctx context.Context, complete func(string) bool) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		if l.lines == nil {
			l.lines = bufio.NewReader(io.LimitReader(l.in, maxPasteBytes))
		}
		var text strings.Builder
		for {
			line, err := l.lines.ReadString('\n')
			text.WriteString(line)
			begun := strings.TrimSpace(text.String()) != ""
			switch {
			case begun && (complete(text.String()) || strings.TrimSpace(line) == ""), errors.Is(err, io.EOF):
				done <- result{cli.WithoutBOM(text.String()), nil}
				return
			case err != nil:
				done <- result{"", err}
				return
			}
		}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
