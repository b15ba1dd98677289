package keycmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
	"userkeys/internal/desktop"
	"userkeys/internal/keystore"
)

// login is one run of `userkeys login`.
type login struct {
	paste     bool
	device    bool
	loopback  bool
	noBrowser bool
	asJSON    bool
	scopes    string
	scopesSet bool
	name      string
	account   string
	clientID  string
	expires   time.Duration
	port      int
	pushURL   string
	bits      int
	timeout   time.Duration

	support client.Support // what the site told before the login
	named   bool           // the site told whose the new key is

	keys  *keystore.Store
	in    io.Reader
	out   io.Writer // the result
	talk  io.Writer // what a person reads meanwhile: out, or stderr beside JSON
	warn  io.Writer
	open  func(ctx context.Context, address string) error
	asked client.Flow // the flow that was taken
	lines *bufio.Reader
	old   keystore.Accounts // of the site, that are stored already
}

const loginLong = `Asks a person for a key to a site, and stores it for the other commands.

There are three ways to get a key. Without one of these options, the first that
works is used:
  --loopback  the browser opens the site's page, where the person signs in if
              necessary, reads what is asked for and approves; the answer comes
              back to an address of this machine that exists only until then
  --device    the site gives a code; the person opens the site on any device,
              types the code and approves, while this program waits
  --paste     the site shows the answer, and the person pastes it here

The key is never printed. A new login replaces the older key of the same
account, here and on the site.

` + appkeys.StoreHelp + `

BROWSER chooses the program that opens the address. Other users of the machine
can see the address while that program starts. If you do not trust them, use
--no-browser and open the address yourself, or use --device. The exit codes are
those of "userkeys call"; 3 means that the person refused or did not answer in
time.`

// newLoginCommand makes `userkeys login`.
func newLoginCommand() *cobra.Command { return loginCommand(desktop.Open) }

func loginCommand(open func(ctx context.Context, address string) error) *cobra.Command {
	l := &login{open: open}
	cmd := &cobra.Command{
		Use:   "login SITE",
		Short: "Get a key to a site: a person approves in the browser",
		Long:  loginLong,
		Example: `  userkeys login https://forum.example
  userkeys login forum.example --scopes read,write --name "Backup of my posts"
  userkeys login forum.example --device --expires 720h`,
		ValidArgsFunction: appkeys.CompleteSites,
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			keys, err := appkeys.Open(cmd)
			if err != nil {
				return err
			}
			l.scopesSet = cmd.Flags().Changed("scopes")
			l.keys, l.in, l.out, l.warn = keys, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			l.talk = l.out
			if l.asJSON {
				l.talk = l.warn
			}
			return l.run(cmd.Context(), args[0])
		},
	}
	cmd.Args = cobra.ExactArgs(1)
	f := cmd.Flags()
	f.BoolVar(&l.loopback, "loopback", false, "receive the answer through a browser on this machine")
	f.BoolVar(&l.device, "device", false, "show a code to type on any device")
	f.BoolVar(&l.paste, "paste", false, "show the address, and read the answer that the person pastes")
	f.IntVar(&l.bits, "bits", client.DefaultBits, "size in bits of the key pair that the answer is encrypted to")
	f.IntVar(&l.port, "port", 0,
		"port of --loopback (default: a free one); a Discourse site must list http://127.0.0.1:PORT/*")
	f.BoolVar(&l.noBrowser, "no-browser", false, "print the address, and do not open a browser")
	f.BoolVar(&l.asJSON, "json", false, "print what was stored as JSON, without the key")
	f.StringVar(&l.scopes, "scopes", "read", "scopes to ask for, separated by commas")
	f.StringVar(&l.name, "name", appName(os.Hostname()), "name of the app that the person sees")
	f.StringVar(&l.account, "account", "", "name for this key, if the site does not tell whose it is")
	f.StringVar(&l.clientID, "client-id", "", "client id of the app (default: one id for this installation)")
	f.StringVar(&l.pushURL, "push-url", "",
		"address to push notifications to; needs the scope push or notifications")
	f.DurationVar(&l.expires, "expires", 0, "ask for a key that expires after this time, such as 720h")
	f.DurationVar(&l.timeout, "timeout", 10*time.Minute, "how long to wait for the person")
	f.String("keystore", "", "how to store keys: keychain, passphrase or plain")
	return cmd
}

// appName names the app and the machine that it runs on, so that a person tells several apart.
func appName(host string, err error) string {
	if host = userkeys.Printable(strings.TrimSpace(host)); err != nil || host == "" {
		return "userkeys"
	}
	return "userkeys on " + userkeys.Shorten(host, 80)
}

func (l *login) run(ctx context.Context, site string) error {
	if l.loopback && l.device || l.device && l.paste || l.paste && l.loopback {
		return cli.Exitf(cli.ExitUsage, "choose one of --loopback, --device and --paste, or none")
	}
	request, err := l.request(site)
	if err != nil {
		return err
	}
	// From here on the address that the site has for itself, which the lock and the warning below are for.
	support, err := client.Probe(ctx, nil, request.Site)
	if err != nil {
		return l.explain(request.Site, err)
	}
	request.Site, l.support = support.Site, support
	if client.PlainHTTP(request.Site) {
		fmt.Fprintf(l.warn, "warning: %s is plain http; whoever is on the way can read the key\n", request.Site)
	}
	unlock, err := l.keys.LockLogin(request.Site)
	if err != nil {
		return appkeys.ExitError(err)
	}
	defer unlock()
	// Before anybody is asked: a key that cannot be kept would stand unused on the person's apps page.
	keeping, err := l.keys.Prepare()
	if err != nil {
		return appkeys.ExitError(err)
	}
	if err := l.sameAsBefore(&request); err != nil {
		return err
	}
	if request.KeyPair, err = client.NewKeyPair(l.bits); err != nil {
		return cli.Exitf(cli.ExitUsage, "%s", cli.Public(err))
	}
	cred, err := l.ask(ctx, request)
	if err != nil {
		return l.explain(request.Site, err)
	}
	if keeping == keystore.Plain {
		fmt.Fprintf(l.warn, "warning: all keys stand readable in %s, by your choice\n", l.keys.Path())
	}
	return l.keep(ctx, cred)
}

// sameAsBefore asks for the scopes and the lifetime of the key that will be replaced, unless the command line names
// others: a new login must not silently get less.
func (l *login) sameAsBefore(r *client.Request) error {
	all, err := l.keys.Accounts()
	if err != nil {
		return appkeys.ExitError(err)
	}
	for _, a := range all {
		if a.Site == r.Site && (l.account == "" || a.Name == l.account) {
			l.old = append(l.old, a)
		}
	}
	if len(l.old) != 1 || l.scopesSet {
		return nil
	}
	old := l.old[0]
	r.Scopes = old.Scopes
	if old.Push && l.pushURL == "" {
		fmt.Fprintf(l.warn,
			"warning: the key of %s has a push URL, and the new one will have none; --push-url asks for it\n",
			userkeys.Printable(old.String()))
	}
	if l.expires == 0 && !old.ExpiresAt.IsZero() {
		r.ExpiresIn = max(old.ExpiresAt.Sub(old.CreatedAt).Round(time.Minute), time.Minute)
	}
	fmt.Fprintf(l.talk, "Asking for what the key of %s has: %s (--scopes asks for something else).\n",
		userkeys.Printable(old.String()), old.Scopes)
	return nil
}

func (l *login) ask(ctx context.Context, request client.Request) (*client.Credential, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	progress := cli.StartProgress(l.warn, l.timeout)
	defer progress.Stop()
	return client.Login(ctx, client.Options{
		Request: request, Flows: l.flows(), LoopbackPort: l.port,
		OpenBrowser: func(ctx context.Context, address string) error { return l.show(ctx, address, progress) },
		ShowCode: func(_ context.Context, d *client.DeviceAuthorization) error {
			l.asked = client.FlowDevice
			l.showCode(d)
			progress.Start()
			return nil
		},
		ReadPaste:  l.readPaste,
		WrongPaste: l.wrongPaste(),
	})
}

// flows returns the flows that the person chose, or those that can work here.
func (l *login) flows() []client.Flow {
	switch {
	case l.loopback:
		return []client.Flow{client.FlowLoopback}
	case l.device:
		return []client.Flow{client.FlowDevice}
	case l.paste:
		return []client.Flow{client.FlowPaste}
	case desktop.Here():
		return nil
	}
	return []client.Flow{client.FlowDevice, client.FlowPaste}
}

// keep stores the key and revokes the one that it replaces. The site revokes that one itself if both belong to the
// same person, but no key may stay valid that no program has.
func (l *login) keep(ctx context.Context, cred *client.Credential) error {
	l.named = cred.Username != ""
	ctx = context.WithoutCancel(ctx) // there is a key now: Ctrl-C must not leave it to nobody
	if l.account != "" {
		cred.Username = l.account
	}
	replaced, err := l.keys.Add(cred)
	if err != nil {
		if rerr := cred.Revoke(ctx, nil); rerr != nil {
			fmt.Fprintf(l.warn, "warning: the new key could not be revoked either; revoke it on your apps page at %s\n",
				cred.Site)
		}
		return appkeys.ExitError(err)
	}
	if replaced != nil && replaced.Key != cred.Key {
		var api *client.APIError
		if err := replaced.Revoke(ctx, nil); err != nil && !(errors.As(err, &api) && api.Worthless()) {
			fmt.Fprintf(l.warn, "warning: the key that this one replaces could not be revoked (%s); revoke it on your "+
				"apps page at %s\n", client.Explain(err), cred.Site)
		}
	}
	if l.expires > 0 && cred.ExpiresAt.IsZero() {
		fmt.Fprintf(l.warn, "warning: %s gave a key without an end; it does not know --expires\n", cred.Site)
	}
	if l.pushURL != "" && !cred.Push {
		fmt.Fprintf(l.warn, "warning: %s will push nothing: an administrator has to add %s to "+
			"allowed_user_api_push_urls first, and the key needs the scope push or notifications\n",
			cred.Site, userkeys.Printable(l.pushURL))
	}
	return l.report(ctx, cred)
}

func (l *login) request(site string) (client.Request, error) {
	if name, rest, ok := strings.Cut(site, "@"); ok && l.account == "" && !strings.Contains(name, "/") {
		l.account, site = name, rest // alice@forum.example
	}
	if l.account == keystore.NoName {
		return client.Request{},
			cli.Exitf(cli.ExitUsage, "an account cannot be called %s: that means the one without a name", keystore.NoName)
	}
	site, err := client.ParseSite(site)
	if err != nil {
		return client.Request{}, cli.Exitf(cli.ExitUsage, "%s", cli.Public(err))
	}
	scopes, err := userkeys.ParseScopes(strings.ReplaceAll(l.scopes, " ", ""))
	if err != nil {
		return client.Request{}, cli.Exitf(cli.ExitUsage, "%s", cli.Public(err))
	}
	if l.expires < 0 || l.expires%time.Second != 0 {
		return client.Request{}, cli.Exitf(cli.ExitUsage, "--expires is a whole number of seconds, such as 720h")
	}
	id := l.clientID
	if id == "" {
		if id, err = l.keys.ClientID(); err != nil {
			return client.Request{}, appkeys.ExitError(err)
		}
	}
	return client.Request{
		Site: site, ApplicationName: l.name, ClientID: id, Scopes: scopes, ExpiresIn: l.expires,
		PushURL: l.pushURL,
	}, nil
}
