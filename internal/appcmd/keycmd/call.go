package keycmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
)

// call is one run of `userkeys call`.
type call struct {
	data    string
	include bool
	headers []string
	timeout time.Duration
	wait    time.Duration

	key     appkeys.InHand
	in      io.Reader
	out     io.Writer
	method  string
	hasData bool
}

const callLong = `Calls a site's API with the key that "userkeys login" stored, like a small
curl. The body of the response goes to standard output, whatever its status.
PATH is a path on the site, or a full address on a site with a stored key. If
there are keys to one site only, --site is not needed. The key is sent to its own
site only, and is never printed. Redirects are not followed. A key that is about
to expire is renewed first, if the site renews keys.

On a machine without stored keys, set USERKEYS_KEY to the key, and name its site
with --site or in USERKEYS_SITE.

Exit codes. For all but 0, one line on standard error says what would help:
  0  the site answered 2xx
  1  any other failure
  2  the command line was not understood
  3  (login) the person refused, or did not answer in time
  4  403: the key is revoked, has expired, or lacks a scope
  5  429: too many calls; the line says how long to wait (--wait does it)
  6  any other 4xx
  7  5xx: the site has a problem
  8  no answer: the site cannot be reached`

// newCallCommand makes `userkeys call`.
func newCallCommand() *cobra.Command {
	c, choice := &call{}, &appkeys.Choice{}
	cmd := &cobra.Command{
		Use:   "call METHOD PATH",
		Short: "Call a site's API with the stored key",
		Long:  callLong,
		Example: `  userkeys call GET /notifications.json
  userkeys call POST /posts.json -d '{"raw":"Hello"}' --site forum.example
  userkeys call PUT /notifications/mark-read -d id=3 -i
  userkeys call POST https://forum.example/posts.json -d @post.json
  echo '{"raw":"Hello"}' | userkeys call POST /posts.json --data @-`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			c.in, c.out = cmd.InOrStdin(), cli.ForTerminal(cmd.OutOrStdout())
			c.method, c.hasData = strings.ToUpper(args[0]), cmd.Flags().Changed("data")
			key, path, err := choice.KeyFor(cmd, args[1])
			if err != nil {
				return err
			}
			c.key = key
			return c.run(cmd.Context(), path)
		},
	}
	cmd.Args = cobra.ExactArgs(2)
	choice.AddSiteFlag(cmd)
	choice.AddAccountFlag(cmd)
	f := cmd.Flags()
	f.StringVarP(&c.data, "data", "d", "", "body of the request; @FILE reads it from a file, @- from standard input; "+
		"sent as JSON if it begins like JSON, and otherwise as a form")
	f.BoolVarP(&c.include, "include", "i", false, "print the status and headers of the response first")
	f.StringArrayVarP(&c.headers, "header", "H", nil, "header to send, 'Name: value'; may be repeated")
	f.DurationVar(&c.timeout, "timeout", time.Minute, "how long to wait for the whole response")
	f.DurationVar(&c.wait, "wait", 0, "how long to wait if a limit of the site is reached, before calling again")
	cmd.ValidArgsFunction = completeCall
	return cmd
}

// completeCall completes the method; paths are the site's own.
func completeCall(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []string{"GET", "POST", "PUT", "PATCH", "DELETE"}, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func (c *call) run(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+c.wait)
	defer cancel()
	req, err := c.request(ctx, path)
	if err != nil {
		return err
	}
	hc := &http.Client{
		Transport:     &client.Transport{Credential: c.key.Credential, MaxWait: c.wait},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := hc.Do(req)
	if err != nil {
		if cause := ctx.Err(); cause != nil {
			err = cause
		}
		return c.warnOfEffect(appkeys.SiteError(c.key.Credential, err))
	}
	defer resp.Body.Close()
	c.key.Used()
	return c.printResponse(ctx, resp, path)
}

// warnOfEffect adds to the error of a write that the site may have done it.
func (c *call) warnOfEffect(err error) error {
	var e *cli.Error
	reads := c.method == http.MethodGet || c.method == http.MethodHead
	if !reads && errors.As(err, &e) && (e.Code == cli.ExitServer || e.Code == cli.ExitUnreachable) {
		return cli.Exitf(e.Code, "%s; it may have had its effect: look before you send it again", e.Text)
	}
	return err
}

func (c *call) request(ctx context.Context, path string) (*http.Request, error) {
	address, err := c.key.URL(path)
	if err != nil {
		return nil, cli.Exitf(cli.ExitUsage, "%s", cli.Public(err))
	}
	body, err := cli.ReadData(c.data, c.in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, c.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, cli.Exitf(cli.ExitUsage, "%q is no method; give GET, POST, PUT, PATCH or DELETE", c.method)
	}
	if !c.hasData {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	req.Header.Set("Accept", "application/json")
	if c.hasData {
		req.Header.Set("Content-Type", contentType(body))
	}
	return req, c.setHeaders(req)
}

// contentType is JSON for a body that begins like JSON, else a form, as curl's users expect.
func contentType(body []byte) string {
	if t := bytes.TrimSpace(body); len(t) > 0 && (t[0] == '{' || t[0] == '[') {
		return "application/json"
	}
	return "application/x-www-form-urlencoded"
}

func (c *call) setHeaders(req *http.Request) error {
	own := []string{userkeys.KeyHeader, userkeys.ClientIDHeader}
	for _, line := range c.headers {
		name, value, ok := strings.Cut(line, ":")
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		switch {
		case !ok || name == "":
			return cli.Exitf(cli.ExitUsage, "%q is no header; write 'Name: value'", line)
		case slices.Contains(own, name):
			return cli.Exitf(cli.ExitUsage, "%s is set from the stored key; log in to change it", name)
		case name == "Host":
			return cli.Exitf(cli.ExitUsage, "the Host header follows the site's address; it cannot be set")
		}
		req.Header.Set(name, strings.TrimSpace(value))
	}
	return nil
}

// printResponse prints the response and turns its status into an exit code.
func (c *call) printResponse(ctx context.Context, resp *http.Response, path string) error {
	if c.include {
		fmt.Fprintf(c.out, "%s %s\r\n", resp.Proto, userkeys.Printable(resp.Status))
		if err := resp.Header.Write(c.out); err != nil {
			return cli.Exitf(cli.ExitFailure, "cannot print the answer: %v", err)
		}
		fmt.Fprint(c.out, "\r\n")
	}
	const enoughForAnError = 64 << 10
	head, err := io.ReadAll(io.LimitReader(resp.Body, enoughForAnError))
	if err == nil {
		if _, werr := c.out.Write(head); werr != nil {
			return cli.Exitf(cli.ExitFailure, "cannot print the answer: %v", werr)
		}
		_, err = io.Copy(c.out, resp.Body)
	}
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return appkeys.SiteError(c.key.Credential, context.DeadlineExceeded)
		}
		return cli.Exitf(cli.ExitUnreachable, "the answer of %s broke off: %s", c.key.Site, appkeys.RootCause(err))
	}
	if _, shown := c.out.(*cli.Harmless); shown && len(head) > 0 && head[len(head)-1] != '\n' {
		fmt.Fprintln(c.out) // what follows, or the prompt, gets a line of its own
	}
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode <= 299:
		return nil
	case resp.StatusCode >= 300 && resp.StatusCode <= 399:
		return cli.Exitf(cli.ExitFailure, "%d: the site points to %q; call that if it is what you meant",
			resp.StatusCode, resp.Header.Get("Location"))
	}
	// Discourse does not say what a 403 is about; another harmless call can tell.
	refused := client.ParseError(resp.StatusCode, resp.Header, head)
	refused.Method, refused.Path = c.method, resp.Request.URL.Path
	err = c.key.Diagnose(ctx, nil, refused)
	return c.warnOfEffect(appkeys.SiteError(c.key.Credential, err))
}
