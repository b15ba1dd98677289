package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cli/browser"
	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/client"
)

// login is one run of `userkeys login`.
type login struct {
	paste     bool
	noBrowser bool
	asJSON    bool
	scopes    string
	name      string
	clientID  string
	timeout   time.Duration

	keys *keyStore
	in   io.Reader
	out  io.Writer // the result
	talk io.Writer // what a person reads meanwhile: out, or stderr beside JSON
	warn io.Writer
	open func(ctx context.Context, address string) error
}

const loginLong = `Asks a person for a key to a site, and keeps it for "userkeys call".

The browser opens on the site's page, where the person signs in if need be,
reads what is asked for and approves. The answer comes back to an address of
this machine that exists for that moment only. With --paste, for a browser on
another machine or a site that allows no such address, the site shows the
answer and it is pasted here.

The key is kept in keys.json in a folder of your own (USERKEYS_CONFIG_DIR
chooses another), readable by you only. It is never printed. A new login
replaces the site's older key.

BROWSER chooses the program that opens the address.`

// newLoginCommand makes `userkeys login`.
func newLoginCommand() *cobra.Command { return loginCommand(openBrowser) }

func loginCommand(open func(ctx context.Context, address string) error) *cobra.Command {
	l := &login{open: open}
	cmd := &cobra.Command{
		Use:   "login SITE",
		Short: "Get a key to a site: a person approves in the browser",
		Long:  loginLong,
		Example: `  userkeys login https://forum.example
  userkeys login forum.example --scopes read,write --name "Backup of my posts"
  userkeys login forum.example --paste`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			keys, err := openKeyStore()
			if err != nil {
				return err
			}
			l.keys, l.in, l.out, l.warn = keys, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			l.talk = l.out
			if l.asJSON {
				l.talk = l.warn
			}
			return l.run(cmd.Context(), args[0])
		},
	}
	understand(cmd, 1)
	f := cmd.Flags()
	f.BoolVar(&l.paste, "paste", false, "show the address, and read the answer that the site shows")
	f.BoolVar(&l.noBrowser, "no-browser", false, "only show the address, open nothing")
	f.BoolVar(&l.asJSON, "json", false, "print what was stored as JSON (without the key)")
	f.StringVar(&l.scopes, "scopes", "read", "what to ask for, separated by commas")
	f.StringVar(&l.name, "name", "userkeys", "the name that the person is shown")
	f.StringVar(&l.clientID, "client-id", "", "what the site knows this app by (default: one id for this installation)")
	f.DurationVar(&l.timeout, "timeout", 10*time.Minute, "how long to wait for the person")
	return cmd
}

func (l *login) run(ctx context.Context, site string) error {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	request, err := l.request(site)
	if err != nil {
		return err
	}
	if client.PlainHTTP(request.Site) {
		fmt.Fprintf(l.warn, "warning: %s is plain http; whoever is on the way can read the key\n", request.Site)
	}
	options := client.Options{Request: request, OpenBrowser: l.show}
	if l.paste {
		options.Flow, options.ReadPaste = client.FlowPaste, l.readPaste
	}
	cred, err := client.Login(ctx, options)
	if err != nil {
		return l.explain(request.Site, err)
	}
	key := storedKey{
		Site: cred.Site, Username: cred.Username, ClientID: cred.ClientID, Key: cred.Key,
		Scopes: cred.Scopes, CreatedAt: l.keys.now().UTC().Truncate(time.Second), ExpiresAt: cred.ExpiresAt,
	}
	if err := l.keys.add(key); err != nil {
		return err
	}
	return l.report(cred)
}

func (l *login) request(site string) (client.Request, error) {
	site, err := client.ParseSite(site)
	if err != nil {
		return client.Request{}, exitf(exitUsage, "%s", publicText(err))
	}
	scopes, err := userkeys.ParseScopes(strings.ReplaceAll(l.scopes, " ", ""))
	if err != nil {
		return client.Request{}, exitf(exitUsage, "%s", publicText(err))
	}
	id := l.clientID
	if id == "" {
		if id, err = l.keys.clientID(); err != nil {
			return client.Request{}, err
		}
	}
	return client.Request{Site: site, ApplicationName: l.name, ClientID: id, Scopes: scopes}, nil
}

// show tells the person where to go. The address is printed in any case: a
// browser that does not open is no reason to give up.
func (l *login) show(ctx context.Context, address string) error {
	fmt.Fprintf(l.talk, "Open this address, sign in and approve:\n\n%s\n\n", address)
	if l.paste {
		fmt.Fprintln(l.talk, "The page then shows a long text. Paste it here, all of it:")
		return nil
	}
	if !l.noBrowser {
		if err := l.open(ctx, address); err != nil {
			fmt.Fprintln(l.warn, "no browser could be opened here; open the address yourself")
		}
	}
	fmt.Fprintln(l.talk, "Waiting for the answer (Ctrl-C gives up; --paste is for a browser on another machine) ...")
	return nil
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
		in := bufio.NewReader(io.LimitReader(l.in, maxPasteBytes))
		var text strings.Builder
		for {
			line, err := in.ReadString('\n')
			text.WriteString(line)
			switch {
			case strings.TrimSpace(text.String()) != "" && complete(text.String()), errors.Is(err, io.EOF):
				done <- result{text.String(), nil}
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

// explain says what a failed login means.
func (l *login) explain(site string, err error) error {
	var api *client.APIError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return exitf(exitFailure, "nobody approved within %v (sites do not tell when a person says no); run the command again", l.timeout)
	case errors.Is(err, context.Canceled):
		return exitf(exitFailure, "interrupted; nothing was stored")
	case errors.As(err, &api):
		return refusal(storedKey{Site: site}, api)
	case errors.Is(err, userkeys.Unavailable):
		return siteError(storedKey{Site: site}, err)
	}
	return exitf(exitFailure, "%s", publicText(err))
}

func (l *login) report(c *client.Credential) error {
	if l.asJSON {
		enc := json.NewEncoder(l.out)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			*client.Credential
			File string `json:"file"`
		}{c, l.keys.path()})
	}
	who := ""
	if c.Username != "" {
		who = " as " + c.Username
	}
	fmt.Fprintf(l.out, "Logged in to %s%s. The key may: %s.\n", c.Site, who, c.Scopes)
	if !c.ExpiresAt.IsZero() {
		fmt.Fprintf(l.out, "It ends at %s.\n", c.ExpiresAt.Format(time.RFC3339))
	}
	fmt.Fprintf(l.out, "It is kept in %s. Try: userkeys call GET /session/current.json --site %s\n", l.keys.path(), c.Site)
	return nil
}

// openBrowser opens address in the program that $BROWSER names, else in what the system
// calls its browser. Some of those stay until their window closes, so it does
// not wait for them longer than it takes to fail.
func openBrowser(ctx context.Context, address string) error {
	failed := make(chan error, 1)
	go func() { failed <- startBrowser(ctx, address) }()
	select {
	case err := <-failed:
		return err
	case <-time.After(2 * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func startBrowser(ctx context.Context, address string) error {
	list := os.Getenv("BROWSER")
	if list == "" {
		browser.Stdout, browser.Stderr = io.Discard, io.Discard // their chatter is not our output
		return browser.OpenURL(address)
	}
	err := exec.ErrNotFound
	for program := range strings.SplitSeq(list, string(filepath.ListSeparator)) {
		words := strings.Fields(program)
		if len(words) == 0 {
			continue
		}
		if strings.Contains(program, "%s") {
			for i := range words {
				words[i] = strings.ReplaceAll(words[i], "%s", address)
			}
		} else {
			words = append(words, address)
		}
		if err = exec.CommandContext(ctx, words[0], words[1:]...).Run(); err == nil {
			return nil
		}
	}
	return err
}
