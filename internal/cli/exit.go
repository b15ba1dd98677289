// Package cli has what all commands share: exit codes and what goes with them, how
// they print for people and for scripts, and how they ask a person.
package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

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

// Error is an error with the exit code of the program. Its text is one line for the person, which says what is wrong
// and what would help. main prints it.
type Error struct {
	Code int
	Text string
}

// Error is the line that is printed.
func (e *Error) Error() string { return e.Text }

// Exitf returns an error that ends the program with a code.
func Exitf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// ExitCode returns the exit code of the program for err, which may be nil.
func ExitCode(err error) int {
	var coded *Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		return coded.Code
	}
	return ExitFailure
}

// Understand makes cmd and every command below it exit with [ExitUsage] if their command line is not understood. A
// command that only groups others shows its help, and refuses a name that none of them has.
func Understand(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		Understand(c)
	}
	cmd.SetFlagErrorFunc(Misunderstood)
	cmd.SuggestionsMinimumDistance = 2 // as many letters may be wrong
	if !cmd.Runnable() {
		cmd.Args, cmd.DisableFlagsInUseLine = cobra.NoArgs, true
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	check := cmd.Args
	if check == nil {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		var said *Error
		switch {
		case err == nil || errors.As(err, &said):
			return err
		case !cmd.HasSubCommands():
			err = fmt.Errorf("usage: %s", cmd.UseLine())
		default:
			return Exitf(ExitUsage, "there is no command %s %s; %s", cmd.CommandPath(), args[0], meant(cmd, args[0]))
		}
		return Misunderstood(cmd, err)
	}
}

// meant asks whether a command below cmd was meant by a name that none of them has, and says where all are listed.
func meant(cmd *cobra.Command, name string) string {
	near := cmd.SuggestionsFor(name)
	slices.Sort(near)
	if len(near) == 0 {
		return "see " + cmd.CommandPath() + " --help"
	}
	return "did you mean " + strings.Join(near, " or ") + "? See " + cmd.CommandPath() + " --help"
}

// Misunderstood returns the error for a command line that was not understood.
func Misunderstood(cmd *cobra.Command, err error) error {
	return Exitf(ExitUsage, "%v; see %s --help", err, cmd.CommandPath())
}

// Public returns the public text of a [userkeys.Error], and the whole text of any other error.
func Public(err error) string {
	var e *userkeys.Error
	if errors.As(err, &e) && e.Public != "" {
		return e.Public
	}
	return err.Error()
}

// Explain is [Public] with the private cause, which whoever runs a command may see.
func Explain(err error) string {
	text := Public(err)
	var e *userkeys.Error
	if errors.As(err, &e) && e.Public != "" && e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}
