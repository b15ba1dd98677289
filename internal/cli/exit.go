// Package cli has what all commands share: exit codes and what goes with them, how
// they print for people and for scripts, and how they ask a person.
package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"userkeys"
)

// The exit codes of commands that call a site, for scripts. 1 is any other
// failure, 2 a command line that was not understood.
const (
	ExitFailure     = 1
	ExitUsage       = 2
	ExitUnapproved  = 3 // the person refused, or did not answer in time
	ExitForbidden   = 4 // 403
	ExitLimited     = 5 // 429
	ExitRefused     = 6 // any other 4xx
	ExitServer      = 7 // 5xx
	ExitUnreachable = 8 // no answer
)

// An Error ends the program with a code of its own. Its text is one line
// for the person: what is wrong and what would help. main prints it.
type Error struct {
	Code int
	Text string
}

func (e *Error) Error() string { return e.Text }

// ExitCode is what the program ends with.
func (e *Error) ExitCode() int { return e.Code }

// Exitf returns an error that ends the program with a code.
func Exitf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Understand makes every command below root end with [exitUsage] where its
// command line is not understood. A command that only has others under it shows
// its help, and refuses a name that none of them has.
func Understand(root *cobra.Command) {
	root.SetFlagErrorFunc(Misunderstood)
	commands := []*cobra.Command{root}
	for len(commands) > 0 {
		c := commands[0]
		commands = append(commands[1:], c.Commands()...)
		if !c.Runnable() {
			c.Args, c.DisableFlagsInUseLine = cobra.NoArgs, true
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
		check := c.Args
		if check == nil {
			continue
		}
		c.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			var said *Error
			switch {
			case err == nil || errors.As(err, &said):
				return err
			case !cmd.HasSubCommands():
				err = fmt.Errorf("usage: %s", cmd.UseLine())
			}
			return Misunderstood(cmd, err)
		}
	}
}

// Misunderstood returns the error for a command line that was not understood.
func Misunderstood(cmd *cobra.Command, err error) error {
	return Exitf(ExitUsage, "%v; see %s --help", err, cmd.CommandPath())
}

// Public is what a person may read of err: of ours only the public part.
func Public(err error) string {
	var e *userkeys.Error
	if errors.As(err, &e) && e.Public != "" {
		return e.Public
	}
	return err.Error()
}

// Explain is what a person at the terminal reads. The private cause is shown
// too: whoever runs this command may see it.
func Explain(err error) string {
	var e *userkeys.Error
	if !errors.As(err, &e) || e.Public == "" {
		return err.Error()
	}
	if e.Err != nil {
		return e.Public + " (" + e.Err.Error() + ")"
	}
	return e.Public
}
