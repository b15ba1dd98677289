package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"userkeys"
)

// The exit codes of commands that call a site, for scripts. 1 is any other
// failure, 2 a command line that was not understood.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitUnapproved  = 3 // the person refused, or did not answer in time
	exitForbidden   = 4 // 403
	exitLimited     = 5 // 429
	exitRefused     = 6 // any other 4xx
	exitServer      = 7 // 5xx
	exitUnreachable = 8 // no answer
)

// An exitError ends the program with a code of its own. Its text is one line
// for the person: what is wrong and what would help. main prints it.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

// ExitCode is what the program ends with.
func (e *exitError) ExitCode() int { return e.code }

func exitf(code int, format string, args ...any) *exitError {
	return &exitError{code: code, text: fmt.Sprintf(format, args...)}
}

// understandAll makes every command below root end with [exitUsage] where its
// command line is not understood. A command that only has others under it shows
// its help, and refuses a name that none of them has.
func understandAll(root *cobra.Command) {
	root.SetFlagErrorFunc(misunderstood)
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
			var said *exitError
			switch {
			case err == nil || errors.As(err, &said):
				return err
			case !cmd.HasSubCommands():
				err = fmt.Errorf("usage: %s", cmd.UseLine())
			}
			return misunderstood(cmd, err)
		}
	}
}

func misunderstood(cmd *cobra.Command, err error) error {
	return exitf(exitUsage, "%v; see %s --help", err, cmd.CommandPath())
}

// publicText is what a person may read of err: of ours only the public part.
func publicText(err error) string {
	var e *userkeys.Error
	if errors.As(err, &e) && e.Public != "" {
		return e.Public
	}
	return err.Error()
}

// explain is what a person at the terminal reads. The private cause is shown
// too: whoever runs this command may see it.
func explain(err error) string {
	var e *userkeys.Error
	if !errors.As(err, &e) || e.Public == "" {
		return err.Error()
	}
	if e.Err != nil {
		return e.Public + " (" + e.Err.Error() + ")"
	}
	return e.Public
}
