package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"userkeys/internal/testkit"
)

// terminal opens a pair of a terminal and the side that a person sits at.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// SIGHUP ends a server whose terminal is closed, in good order, and no other:
// log rotation sends it by habit.
func TestHangup(t *testing.T) {
	t.Parallel()
	// A signal that is caught here is not ignored by the programs started here, also where the tests run under nohup.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(caught) })
	_, program := terminal(t)
	for _, tt := range []struct {
		name string
		run  []string // before the program
		in   *os.File
		ends bool
	}{
		{"at a terminal", nil, program, true},
		{"without one", nil, nil, false},
		{"at a terminal, hangups ignored", []string{"sh", "-c", `trap "" HUP; exec "$@"`, "sh"}, program, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := append(tt.run, testkit.Binary(t), "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir())
			cmd := exec.Command(args[0], args[1:]...)
			if tt.in != nil {
				cmd.Stdin = tt.in
			}
			said, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			lines := bufio.NewReader(said)
			if line, err := lines.ReadString('\n'); !strings.Contains(line, "msg=ready") {
				t.Fatalf("%q, %v", line, err)
			}
			signals := []os.Signal{syscall.SIGHUP}
			if !tt.ends {
				signals = append(signals, syscall.SIGTERM) // which finds it running
			}
			for _, s := range signals {
				if err := cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			rest, _ := io.ReadAll(lines)
			if err := cmd.Wait(); err != nil || !strings.Contains(string(rest), "msg=stopping") {
				t.Errorf("%v; it said:\n%s", err, rest)
			}
		})
	}
}
