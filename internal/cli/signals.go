package cli

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// EndSignals returns the signals that end a command in good order. SIGHUP is one of them if a person sits at a
// terminal, which may be closed, unless the program that started the command ignored it, as nohup does.
func EndSignals(in io.Reader) []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if atTerminal(in) && !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// IgnoreHangup keeps a server without a terminal running when it gets SIGHUP. Log rotation often sends it, and there
// is nothing to read again.
func IgnoreHangup(in io.Reader) {
	if !atTerminal(in) {
		signal.Ignore(syscall.SIGHUP)
	}
}

func atTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
