package appcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
	"userkeys/internal/doctor"
	"userkeys/internal/keystore"
)

// examining is one run of `userkeys doctor`.
type examining struct {
	scopes   string
	redirect string
	push     string
	expires  time.Duration
	calls    []string
	origin   string
	account  string
	asJSON   bool
	behind   bool
	echo     string

	store    *keystore.Store
	accounts keystore.Accounts
	noKey    error // why no key can be looked at
	out      io.Writer
	color    bool
}

const doctorLong = `Checks everything that can go wrong between an app and a site, which may be
userkeys or any version of Discourse, and says what is wrong and what would help:
address, network, certificate, clock, what the site allows an app to ask for, and
whether the stored key works. It shows no page to anybody, changes nothing, and
sends only a few requests, which it counts. If a key to the site is stored, it is used
for one or two calls that only read.

For the owner of a site: with --behind it finds out instead which forged headers of a
client reach the website behind the proxies: who calls, what is asked for, from
where, in all spellings that some website reads as these. Start "userkeys doctor
--echo ADDRESS" in place of the website, or at one address of it, and give this
address. A key that is stored for the site is used for two requests.

Each line begins with the result of a check:
  ok  as it should be
  !   works, with a warning
  x   does not work
  -   not known, or not checked

Exit codes:
  0  nothing is wrong
  1  something is wrong
  2  the command line was not understood
  8  the site cannot be reached`

// newDoctorCommand makes `userkeys doctor`.
func newDoctorCommand() *cobra.Command {
	d := &examining{}
	cmd := &cobra.Command{
		Use:   "doctor SITE",
		Short: "Find out what is wrong between an app and a site",
		Long:  doctorLong,
		Example: `  userkeys doctor https://forum.example
  userkeys doctor forum.example --scopes read,write --redirect myapp://done
  userkeys doctor alice@forum.example --for "GET /notifications.json"
  userkeys doctor https://forum.example --origin https://app.example --json
  userkeys doctor --echo 127.0.0.1:3000
  userkeys doctor https://forum.example --behind`,
		ValidArgsFunction: appkeys.CompleteSites,
		RunE: func(cmd *cobra.Command, args []string) error {
			if d.echo != "" {
				return d.runEcho(cmd)
			}
			store, err := appkeys.Open(cmd)
			if err != nil {
				return err
			}
			d.store, d.out, d.color = store, cmd.OutOrStdout(), colorful(cmd.OutOrStdout())
			if d.behind {
				return d.runBehind(cmd.Context(), args[0])
			}
			return d.run(cmd.Context(), args[0])
		},
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if d.echo != "" {
			return cobra.NoArgs(cmd, args)
		}
		return cobra.ExactArgs(1)(cmd, args)
	}
	f := cmd.Flags()
	f.BoolVar(&d.behind, "behind", false, "find out which forged headers reach the website (see above)")
	f.StringVar(&d.echo, "echo", "", "be the echo for --behind, at this address such as 127.0.0.1:3000")
	f.StringVar(&d.scopes, "scopes", "read", "scopes that the app asks for, separated by commas")
	f.StringVar(&d.redirect, "redirect", "", "address to which the app wants the answer (auth_redirect)")
	f.StringVar(&d.push, "push", "", "address to which the app wants notifications (push_url)")
	f.DurationVar(&d.expires, "expires", 0, "lifetime of the key that the app asks for, such as 720h")
	f.StringArrayVar(&d.calls, "for", nil, "call that the app makes, such as \"GET /notifications.json\"; may be repeated")
	f.StringVar(&d.origin, "origin", "", "origin of the page that calls the site from a browser")
	f.StringVar(&d.account, "account", "", "the account whose key to check, if there are several on the site")
	f.BoolVar(&d.asJSON, "json", false, "print JSON")
	_ = cmd.RegisterFlagCompletionFunc("account", appkeys.CompleteAccounts) // it fails only for a flag that does not exist
	return cmd
}

// colorful reports whether marks may be colored: on a terminal, unless the person has said no.
func colorful(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func (d *examining) run(ctx context.Context, site string) error {
	p, err := d.patient()
	if err != nil {
		return cli.Exitf(cli.ExitUsage, "%s", cli.Public(err))
	}
	if p.Site, err = d.choose(site); err != nil {
		return err
	}
	requests := 0
	p.Asked = func(string, string) { requests++ }
	findings := doctor.Examine(ctx, p)
	if err := d.print(findings, requests); err != nil {
		return err
	}
	return verdict(findings)
}

// patient reads the flags.
func (d *examining) patient() (doctor.Config, error) {
	scopes, err := userkeys.ParseScopes(strings.ReplaceAll(d.scopes, " ", ""))
	if err != nil {
		return doctor.Config{}, err
	}
	p := doctor.Config{
		Scopes: scopes, Redirect: d.redirect, PushURL: d.push, ExpiresIn: d.expires, Origin: d.origin, OpenKey: d.openKey,
	}
	for _, text := range d.calls {
		c, err := doctor.ParseCall(text)
		if err != nil {
			return doctor.Config{}, err
		}
		p.Calls = append(p.Calls, c)
	}
	return p, nil
}

// choose reads SITE as the other commands do: it may be an account such as alice@forum.example, and a stored site
// needs no scheme. The doctor itself explains any other text.
func (d *examining) choose(typed string) (string, error) {
	if d.accounts, d.noKey = d.store.Accounts(); d.noKey != nil || strings.TrimSpace(typed) == "" {
		return typed, nil
	}
	found, err := d.accounts.At(typed, d.account)
	_, noSite := client.ParseSite(typed)
	switch {
	case noSite != nil && errors.Is(err, userkeys.NotFound):
		return "", appkeys.ExitError(err) // the account has a name: another must not stand in for it
	case err != nil || slices.ContainsFunc(found, func(a keystore.Account) bool { return a.Site != found[0].Site }):
		return typed, nil
	case noSite != nil:
		d.account = found[0].Name
	}
	return found[0].Site, nil
}

// openKey is the stored key for a site; nil if there is none and none was asked for by name.
func (d *examining) openKey(site string) (*client.Credential, error) {
	if d.noKey != nil {
		return nil, d.noKey
	}
	if _, err := d.accounts.At(site, ""); errors.Is(err, userkeys.NotFound) {
		return nil, nil
	}
	account, err := d.accounts.One(site, d.account)
	if err != nil {
		return nil, err
	}
	return d.store.Credential(account)
}

func (d *examining) print(findings []doctor.Finding, requests int) error {
	if d.asJSON {
		enc := json.NewEncoder(d.out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			Findings []doctor.Finding `json:"findings"`
			Requests int              `json:"requests"`
		}{findings, requests})
	}
	for i := 0; i < len(findings); i++ {
		f := findings[i]
		names := []string{string(f.Check)}
		for f.State == doctor.Skipped && f.Advice == "" && i+1 < len(findings) && like(findings[i+1], f) {
			i++ // what has one reason is one line
			names = append(names, string(findings[i].Check))
		}
		says := f.Says
		if len(names) > 1 {
			says = strings.Join(names, ", ") + ": " + says
			names = []string{"..."}
		}
		fmt.Fprintf(d.out, "%s %-10s  %s\n", d.mark(f.State), names[0], says)
		if f.Advice != "" {
			fmt.Fprintf(d.out, "%15s -> %s\n", "", f.Advice)
		}
	}
	_, err := fmt.Fprintln(d.out, summary(findings, requests))
	return err
}

// like reports whether two findings differ only in their check.
func like(a, b doctor.Finding) bool {
	return a.State == b.State && a.Says == b.Says && a.Advice == b.Advice
}

// mark returns the mark of a state, in color on a terminal.
func (d *examining) mark(s doctor.State) string {
	word, color := "-", "90"
	switch s {
	case doctor.OK:
		word, color = "ok", "32"
	case doctor.Warning:
		word, color = "!", "33"
	case doctor.Problem:
		word, color = "x", "31"
	}
	word = fmt.Sprintf("%-2s", word)
	if d.color {
		return "\x1b[" + color + "m" + word + "\x1b[0m"
	}
	return word
}

func summary(findings []doctor.Finding, requests int) string {
	found := "nothing is wrong"
	problems, warnings := count(findings, doctor.Problem), count(findings, doctor.Warning)
	switch {
	case problems > 0:
		found = "problems: " + fmt.Sprint(problems)
		if warnings > 0 {
			found += ", warnings: " + fmt.Sprint(warnings)
		}
	case warnings > 0:
		found += ", warnings: " + fmt.Sprint(warnings)
	}
	return fmt.Sprintf("\n%s (requests sent: %d)", found, requests)
}

func count(findings []doctor.Finding, s doctor.State) int {
	n := 0
	for _, f := range findings {
		if f.State == s {
			n++
		}
	}
	return n
}

// verdict returns the error with the exit code for scripts.
func verdict(findings []doctor.Finding) error {
	unreachable := slices.ContainsFunc(findings, func(f doctor.Finding) bool {
		return f.State == doctor.Problem && (f.Check == doctor.CheckConnection || f.Check == doctor.CheckTLS)
	})
	switch {
	case unreachable:
		return cli.Exitf(cli.ExitUnreachable, "the site cannot be reached")
	case count(findings, doctor.Problem) > 0:
		return cli.Exitf(cli.ExitFailure, "something is wrong between the app and the site")
	}
	return nil
}
