package appcmd

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
	"userkeys/internal/receiver"
)

const pushSecretEnv = "USERKEYS_PUSH_SECRET"

const receiveLong = `Runs a small server for a push URL. It verifies the signature of each push, prints
a line for it, and stores it in the folder --store. Use it while you write an app,
or to see what a site does when a receiver fails.

Each key has its own secret. Give secrets with --secret FILE (one per line), with
--secret whsec_... (which other users of this machine can read), in the variable
USERKEYS_PUSH_SECRET, or with --site SITE for the key that "userkeys login
--push-url" stored. A secret of --secret is valid for every site, one of --site for
that site only. "userkeys key SITE --push-secret" prints a secret.

A push without a valid signature is answered with 401. --unsigned accepts pushes
without a signature, as Discourse sends them; --secret-key is the secret_key that
their body must then contain.

--fail, --gone, --moved and --hang make valid pushes fail on purpose. --fail-first
and --fail-rate limit how many fail; alone they mean --fail 503.`

// receive is one run of `userkeys push-receiver`.
type receive struct {
	listen, path, account, store, secretKey, moved, cert, key string
	secrets, sites                                            []string
	unsigned, asJSON, gone, hang                              bool
	fail, first, retryAfter                                   int
	rate                                                      float64
	delay                                                     time.Duration
}

// newReceiveCommand makes `userkeys push-receiver`.
func newReceiveCommand() *cobra.Command {
	c := &receive{}
	cmd := &cobra.Command{
		Use: "push-receiver", Short: "Receive pushes, and verify, show and store them", Long: receiveLong,
		Example: `  userkeys push-receiver --site forum.example
  userkeys push-receiver --listen 127.0.0.1:9000 --secret secret.txt --store pushes
  userkeys push-receiver --secret secret.txt --fail-first 3 --retry-after 30
  userkeys push-receiver --unsigned --secret-key @discourse-key.txt --json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	cmd.Args = cobra.ExactArgs(0)
	f := cmd.Flags()
	f.StringVar(&c.listen, "listen", "127.0.0.1:8787", "address to listen on")
	f.StringVar(&c.path, "path", "/push", "path of the push URL; / accepts every path")
	f.StringArrayVar(&c.secrets, "secret", nil,
		"file with push secrets, or a secret that begins with whsec_; may be repeated")
	f.StringArrayVar(&c.sites, "site", nil, "site with a stored key whose push secret is used; may be repeated")
	f.StringVar(&c.account, "account", "", "the account, if there are several on the site")
	f.StringVar(&c.store, "store", "", "folder to store pushes in, each as a line of JSON in its own file")
	f.BoolVar(&c.unsigned, "unsigned", false, "accept also pushes without a signature")
	f.StringVar(&c.secretKey, "secret-key", "",
		"secret_key that unsigned pushes must contain; @FILE reads it from a file")
	f.IntVar(&c.fail, "fail", 0, "answer with this status, such as 503")
	f.IntVar(&c.first, "fail-first", 0, "let only the first pushes fail, this many")
	f.Float64Var(&c.rate, "fail-rate", 0, "let only this share of pushes fail, such as 0.2")
	f.IntVar(&c.retryAfter, "retry-after", 0, "seconds in the Retry-After header of each failure")
	f.BoolVar(&c.gone, "gone", false, "answer with 410, which asks for no more pushes")
	f.StringVar(&c.moved, "moved", "", "answer with 308 and this address")
	f.BoolVar(&c.hang, "hang", false, "never answer")
	f.DurationVar(&c.delay, "delay", 0, "wait this long before each answer, such as 3s")
	f.StringVar(&c.cert, "tls-cert", "", "file with the certificate, to serve https")
	f.StringVar(&c.key, "tls-key", "", "file with the private key of the certificate")
	cli.AddJSONFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("site", appkeys.CompleteSites) // it fails only for a flag that does not exist
	_ = cmd.RegisterFlagCompletionFunc("account", appkeys.CompleteAccounts)
	return cmd
}

func (c *receive) run(cmd *cobra.Command) error {
	c.asJSON = cli.JSON(cmd)
	cfg, err := c.config(cmd)
	if err != nil {
		return err
	}
	secure, err := c.tls()
	if err != nil {
		return err
	}
	var printing sync.Mutex
	cfg.Told = func(e receiver.Event) {
		printing.Lock()
		defer printing.Unlock()
		c.tell(cmd.OutOrStdout(), e)
	}
	rc, err := receiver.New(cfg)
	if err != nil {
		return appkeys.ExitError(err)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(cmd.Context(), "tcp", c.listen)
	if err != nil {
		return cli.Exitf(cli.ExitFailure, "--listen: %v", err)
	}
	defer ln.Close() // closed already when it ran
	address := url.URL{Scheme: "http", Host: cli.Browsable(ln.Addr()), Path: c.path}
	if secure != nil {
		address.Scheme = "https"
	}
	if c.asJSON {
		// a reader that left needs none
		_ = json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"url": address.String()})
	} else {
		fmt.Fprintf(cmd.OutOrStdout(), "Pushes come to %s; Ctrl-C ends this.\n", &address)
	}
	if err := rc.Run(cmd.Context(), ln, secure); err != nil {
		return cli.Exitf(cli.ExitFailure, "the receiver ended: %v", err)
	}
	return nil
}

// tell prints an event. Errors are ignored: the event is kept where --store says.
func (c *receive) tell(out io.Writer, e receiver.Event) {
	if c.asJSON {
		_, _ = out.Write(e.JSON())
		return
	}
	_, _ = fmt.Fprintln(out, e.Line())
}

func (c *receive) config(cmd *cobra.Command) (receiver.Config, error) {
	cfg := receiver.Config{Path: c.path, AcceptUnsigned: c.unsigned, Now: time.Now}
	var err error
	if cfg.Faults, err = c.faults(); err != nil {
		return cfg, err
	}
	if cfg.SecretKey, err = readSecretKey(c.secretKey); err != nil {
		return cfg, err
	}
	if c.secretKey != "" && !c.unsigned {
		return cfg, cli.Exitf(cli.ExitUsage, "--secret-key is for --unsigned: a signed push needs none")
	}
	if cfg.Secrets, err = c.findSecrets(cmd); err != nil {
		return cfg, err
	}
	if cfg.Secrets == nil && !c.unsigned {
		return cfg, cli.Exitf(cli.ExitUsage, "say how to verify pushes: --secret, --site or %s; or --unsigned",
			pushSecretEnv)
	}
	if c.store != "" {
		if cfg.Store, err = receiver.OpenStore(c.store); err != nil {
			return cfg, cli.Exitf(cli.ExitFailure, "--store: pushes cannot be kept there: %s", appkeys.RootCause(err))
		}
	}
	return cfg, nil
}

// faults returns the failures that the flags ask for.
func (c *receive) faults() (receiver.Faults, error) {
	f := receiver.Faults{
		Status: c.fail, Hang: c.hang, Moved: c.moved, After: time.Duration(c.retryAfter) * time.Second, First: c.first,
		Rate: c.rate, Delay: c.delay,
	}
	ways := 0
	for _, asked := range []bool{c.fail != 0, c.gone, c.moved != "", c.hang} {
		if asked {
			ways++
		}
	}
	switch {
	case ways > 1:
		return f, cli.Exitf(cli.ExitUsage, "choose one of --fail, --gone, --moved and --hang")
	case c.gone:
		f.Status = http.StatusGone
	case c.moved != "":
		f.Status = http.StatusPermanentRedirect
	case ways == 0 && (c.first != 0 || c.rate != 0 || c.retryAfter != 0):
		f.Status = http.StatusServiceUnavailable
	}
	if err := f.Check(); err != nil {
		return f, cli.Exitf(cli.ExitUsage, "%s", cli.Public(err))
	}
	return f, nil
}

func (c *receive) tls() (*tls.Config, error) {
	if (c.cert == "") != (c.key == "") {
		return nil, cli.Exitf(cli.ExitUsage, "--tls-cert and --tls-key go together")
	}
	if c.cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, cli.Exitf(cli.ExitUsage, "--tls-cert, --tls-key: %v", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// findSecrets returns the function with which the receiver looks up secrets, or nil if there are none.
func (c *receive) findSecrets(cmd *cobra.Command) (func(site, clientID string) ([]userkeys.PushSecret, error),
	error,
) {
	believed, err := readPushSecrets(os.Getenv(pushSecretEnv), pushSecretEnv)
	if err != nil {
		return nil, err
	}
	for _, given := range c.secrets {
		more, err := pushSecretsFrom(given)
		if err != nil {
			return nil, err
		}
		believed = append(believed, more...)
	}
	var bound []appkeys.PushSecret
	for _, site := range c.sites {
		b, err := (&appkeys.Choice{Site: site, Account: c.account}).PushSecret(cmd)
		if err != nil {
			return nil, err
		}
		bound = append(bound, b)
	}
	if len(believed)+len(bound) == 0 {
		return nil, nil
	}
	return func(site, clientID string) ([]userkeys.PushSecret, error) {
		found := believed[:len(believed):len(believed)]
		for _, b := range bound {
			if b.Site == site && (b.ClientID == clientID || clientID == "") {
				found = append(found, b.Secret)
			}
		}
		return found, nil
	}, nil
}

// pushSecretsFrom reads a value of --secret.
func pushSecretsFrom(given string) ([]userkeys.PushSecret, error) {
	if strings.HasPrefix(given, "whsec_") {
		return readPushSecrets(given, "--secret")
	}
	text, err := readSmallFile("--secret", strings.TrimPrefix(given, "@"))
	if err != nil {
		return nil, err
	}
	found, err := readPushSecrets(text, "--secret: "+given)
	if err == nil && len(found) == 0 {
		return nil, cli.Exitf(cli.ExitUsage, "--secret: %s is empty", given)
	}
	return found, err
}

// readPushSecrets reads secrets between white space; from says where they were found.
func readPushSecrets(text, from string) ([]userkeys.PushSecret, error) {
	var found []userkeys.PushSecret
	for word := range strings.FieldsSeq(text) {
		s, err := userkeys.ParsePushSecret(word)
		if err != nil {
			return nil, cli.Exitf(cli.ExitUsage, "%s: %s", from, cli.Public(err))
		}
		found = append(found, s)
	}
	return found, nil
}

// readSecretKey reads the value of --secret-key.
func readSecretKey(given string) (string, error) {
	name, fromFile := strings.CutPrefix(given, "@")
	if !fromFile {
		return given, nil
	}
	text, err := readSmallFile("--secret-key", name)
	if text = strings.TrimSpace(text); err == nil && text == "" {
		return "", cli.Exitf(cli.ExitUsage, "--secret-key: %s is empty", name)
	}
	return text, err
}

const maxSecretFile = 64 << 10

func readSmallFile(flag, name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", cli.Exitf(cli.ExitUsage, "%s: %v", flag, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	switch {
	case err != nil:
		return "", cli.Exitf(cli.ExitUsage, "%s: %v", flag, err)
	case len(b) > maxSecretFile:
		return "", cli.Exitf(cli.ExitUsage, "%s: %s is too large to hold secrets", flag, name)
	}
	return string(b), nil
}
