// Command userkeys lets a site's users give scoped, revocable API keys to
// apps that nobody registered: the server, its administration, and the app's side.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"userkeys/internal/appcmd"
	"userkeys/internal/cli"
	"userkeys/internal/sitecmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), cli.EndSignals(os.Stdin)...)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// streams are what a command reads from and writes to.
type streams struct {
	in        io.Reader
	out, errs io.Writer
}

// run runs a command line and returns its exit code. It is main without the process, so that tests can call it.
func run(ctx context.Context, args []string, std streams) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.errs)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(std.errs, "userkeys: "+cli.Explain(err))
	}
	return cli.ExitCode(err)
}

const intro = `userkeys lets a site's users give scoped, revocable API keys to apps that
nobody registered beforehand, as Discourse's user API keys do.
`

// begin is what people do most, for those who come without a command.
const begin = `
Try everything on this machine:
  userkeys demo
Run a site, in front of your website or beside your web server:
  userkeys serve --upstream http://127.0.0.1:3000
  userkeys recipe nginx
Get a key to a site, and call its API:
  userkeys login https://forum.example
  userkeys call forum.example /notifications.json
See what is unread on all your sites:
  userkeys dashboard
Find out what is wrong between an app and a site:
  userkeys doctor https://forum.example

All commands: userkeys --help
`

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "userkeys",
		Short: "API keys that a site's users give to apps",
		Long:  intro,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprint(cmd.OutOrStdout(), intro+begin)
			return nil
		},
		Args:          cobra.NoArgs,
		Version:       versionText(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("{{.Version}}")
	root.AddGroup(
		&cobra.Group{ID: "site", Title: "Run a site:"},
		&cobra.Group{ID: "app", Title: "Use a site:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("site", sitecmd.Commands()...)
	add("app", appcmd.Commands()...)
	root.AddCommand(newVersionCommand())
	cli.Understand(root)
	return root
}
