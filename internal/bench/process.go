package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A Process is a server in a process of its own: this program, started again with another environment, or another
// program. The first ends when its standard input does, so that it does not outlive this process.
type Process struct {
	Addr  string // where it listens
	env   []string
	cmd   *exec.Cmd
	stdin io.Closer
	said  bytes.Buffer // what another program wrote to standard error
}

// Start runs this program again with env added to its environment, on the given core, and waits until it prints
// the address that it listens on. With a core below 0, or on a machine without that core, the system chooses.
func Start(ctx context.Context, core int, env ...string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := onCore(core, cmd.Start); err != nil {
		return nil, err
	}
	p := &Process{env: env, cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bench: the server %v did not start: %w", env, err), p.Stop())
	}
	p.Addr = strings.TrimSpace(line)
	return p, nil
}

// StartProgram runs another program than this one, on the given core as [Start], and waits until it listens on addr.
func StartProgram(ctx context.Context, core int, addr string, command ...string) (*Process, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	p := &Process{Addr: addr, env: command[:1], cmd: cmd}
	cmd.Stderr = &p.said
	if err := onCore(core, cmd.Start); err != nil {
		return nil, err
	}
	for range 2000 {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return p, conn.Close()
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil, errors.Join(fmt.Errorf("bench: %s does not listen on %s", command[0], addr), p.Stop())
}

// CPU returns the CPU time that the process has used.
func (p *Process) CPU() (time.Duration, error) { return ProcessCPU(p.cmd.Process.Pid) }

// Stop ends the process and waits for it. It returns an error if the process had crashed or was killed.
func (p *Process) Stop() error {
	// On an error the process has ended, and Wait says why.
	if p.stdin != nil {
		_ = p.stdin.Close()
	} else {
		_ = p.cmd.Process.Signal(os.Interrupt)
	}
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("bench: the server %v ended badly: %w\n%s", p.env, err, p.said.String())
	}
	return nil
}

// Serve is what the process that [Start] runs calls: it prints addr and returns when the process that started it
// has ended or calls [Process.Stop].
func Serve(addr string) error {
	if _, err := fmt.Println(addr); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
