package sitecmd

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"userkeys/gateway"
	"userkeys/internal/cli"
	"userkeys/internal/recipe"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/server"
)

const recipeLong = `Print a complete configuration of a web server that asks a running userkeys about
each request before it passes it on to your website. Run userkeys with
--ask-listen for this, with --upstream for your website, and with
--trusted-proxy for the web server. docs/web-servers.md has each step.

With --config the recipe reads where all of them listen, and the names of
headers, from the configuration file of serve. An option of the command line
then replaces or completes what the file says.

A request with a good key reaches your website with the user's identity in
X-Userkeys-... headers, which clients cannot send themselves. A request without
a key passes without them, or is refused with --strict. With --beside another
program decides about requests without a key.

With --check the command compares your file with the recipe for the options in
its first line, and prints what it lacks. Lines that end in "yours" may differ,
and you may add lines, but the recipe's lines must keep their order. A line that
undoes the recipe, or leads to the website around the question, is printed too.
The exit status is 1 if anything is printed.`

// recipeOptions are the options of `userkeys recipe`.
type recipeOptions struct {
	config, ask, listen, app, url, beside, check string
	strict, carriers                             bool
	own, identity, login                         []string
}

func newRecipeCommand() *cobra.Command {
	o := &recipeOptions{}
	cmd := &cobra.Command{
		Use:   "recipe " + strings.Join(recipe.Names(), "|"),
		Short: "Print the configuration of a web server that asks userkeys about each request",
		Long:  recipeLong, Args: cobra.ExactArgs(1), ValidArgs: recipe.Names(),
		Example: `  userkeys recipe nginx --config /etc/userkeys.toml
  userkeys recipe caddy --url https://www.example --app 127.0.0.1:3000 --beside authelia
  userkeys recipe nginx --check /etc/nginx/conf.d/userkeys.conf`,
		RunE: o.run,
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *recipeOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.config, "config", "", "the configuration file of serve, for all that it says about the options below")
	f.StringVar(&o.url, "url", "", "address of your website as browsers see it, such as https://www.example")
	f.StringVar(&o.app, "app", "", "where your website listens: an address or unix:PATH")
	f.StringVar(&o.ask, "ask", "127.0.0.1:8081", "where userkeys listens for questions: its --ask-listen")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "where userkeys listens for browsers and apps: its --listen")
	f.BoolVar(&o.strict, "strict", false, "refuse requests without a key with 403")
	f.BoolVar(&o.carriers, "carriers", false, "userkeys has a [[carrier]]: Traefik needs to know")
	f.StringVar(&o.beside, "beside", "",
		"authelia or oauth2-proxy, which decides about requests without a key; with =ADDRESS, where it listens")
	f.StringSliceVar(&o.own, "own", nil, "paths that userkeys answers besides: its --own")
	f.StringSliceVar(&o.identity, "identity-header", nil,
		"names of more headers in which your website learns who calls: of the [[identity-header]] of userkeys")
	f.StringSliceVar(&o.login, "login-header", nil,
		"names of headers of a [[login]] of userkeys that no client may send, beside the common ones")
	f.StringVar(&o.check, "check", "", "a file to compare with the recipe, instead of printing it")
}

func (o *recipeOptions) run(cmd *cobra.Command, args []string) error {
	name := args[0]
	if o.check != "" {
		if err := onlyCheck(cmd.Flags()); err != nil {
			return err
		}
		return o.compare(cmd, name)
	}
	if o.config != "" { // the recipe may be checked from another folder
		var err error
		if o.config, err = filepath.Abs(o.config); err != nil {
			return err
		}
	}
	cfg, err := o.recipe(name, cmd.Flags())
	if err != nil {
		return err
	}
	return recipe.Write(cmd.OutOrStdout(), name, cfg)
}

// onlyCheck refuses other options of the command beside --check: the file itself names those that count.
func onlyCheck(f *pflag.FlagSet) error {
	own, others := pflag.NewFlagSet("recipe", pflag.ContinueOnError), []string{}
	new(recipeOptions).addFlags(own)
	f.Visit(func(f *pflag.Flag) {
		if f.Name != "check" && own.Lookup(f.Name) != nil {
			others = append(others, "--"+f.Name)
		}
	})
	if len(others) == 0 {
		return nil
	}
	return cli.Exitf(cli.ExitUsage,
		"--check takes the options of the recipe from the first line of the file: leave out %s",
		strings.Join(others, " and "))
}

// recipe reads the options, of which f tells which were given.
func (o *recipeOptions) recipe(name string, f *pflag.FlagSet) (recipe.Config, error) {
	cfg := recipe.Config{Command: o.command(name, f), Own: gateway.OwnPaths(), Fallback: server.FallbackPaths()}
	if err := o.readSite(f); err != nil {
		return cfg, err
	}
	cfg.Strict, cfg.Carriers, cfg.SharedCaches = o.strict, o.carriers, gateway.SharedCacheHeaders()
	cfg.Forged, cfg.Overrides = gateway.ForgeableHeaders()
	var err error
	if cfg.URL, err = websiteURL(o.url); err != nil {
		return cfg, err
	}
	if o.app == "" {
		return cfg, errors.New("--app is missing: where your website listens")
	}
	for _, a := range []struct {
		flag, value string
		to          *recipe.Address
	}{{"--app", o.app, &cfg.App}, {"--ask", o.ask, &cfg.Ask}, {"--listen", o.listen, &cfg.Listen}} {
		if *a.to, err = recipe.ParseAddress(a.value); err != nil {
			return cfg, fmt.Errorf("%s: %w", a.flag, err)
		}
	}
	if o.beside != "" {
		if cfg.Beside, err = recipe.ParseSignInProxy(o.beside); err != nil {
			return cfg, fmt.Errorf("--beside: %w", err)
		}
	}
	own, none, err := ownPaths(o.own)
	if err != nil {
		return cfg, err
	}
	for _, p := range own {
		if strings.Trim(p, pathCharacters) != "" || strings.Contains(strings.TrimSuffix(p, "*"), "*") {
			return cfg, fmt.Errorf("--own: a recipe cannot have the path %q", p)
		}
	}
	cfg.Own = append(cfg.Own, own...)
	if none {
		cfg.Fallback = nil
	}
	for _, h := range o.login {
		if err := gateway.CheckLoginHeader(h); err != nil {
			return cfg, fmt.Errorf("--login-header: %s", cli.Explain(err))
		}
		cfg.Forged = withHeader(cfg.Forged, http.CanonicalHeaderKey(h))
	}
	more, err := identityHeaders("--identity-header", o.identity)
	cfg.Identity = gateway.IdentityHeaderNames(more...)
	return cfg, err
}

// readSite takes from the configuration file of serve what the command line, with the flags f, does not say.
func (o *recipeOptions) readSite(f *pflag.FlagSet) error {
	if o.config == "" {
		return nil
	}
	if strings.ContainsAny(o.config, " \t\r\n") {
		return fmt.Errorf("--config: a recipe cannot have the path %q", o.config)
	}
	serve, site, err := sitedata.ReadServe(o.config)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	for flag, option := range map[string]struct {
		to    *string
		value string
	}{
		"url": {&o.url, serve.URL}, "app": {&o.app, withPort(serve.Upstream)},
		"ask": {&o.ask, serve.AskListen}, "listen": {&o.listen, fromHere(serve.Listen)},
	} {
		if !f.Changed(flag) {
			*option.to = option.value
		}
	}
	if o.ask == "" {
		return fmt.Errorf("%s has no ask-listen, where web servers ask", o.config)
	}
	o.ask = fromHere(o.ask)
	o.carriers = o.carriers || len(site.Carriers) > 0
	o.own = append(serve.Own, o.own...)
	for _, h := range site.IdentityHeaders {
		o.identity = withHeader(o.identity, h.Name)
	}
	for _, l := range site.Logins {
		for _, name := range l.Header.Names() {
			o.login = withHeader(o.login, name)
		}
	}
	return nil
}

// withHeader returns names with the name of a header, if it is not among them.
func withHeader(names []string, name string) []string {
	if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
		return names
	}
	return append(names, name)
}

// withPort returns an upstream of serve with the port of plain HTTP if it has none.
func withPort(upstream string) string {
	u, err := url.Parse(upstream)
	if err == nil && u.Scheme == "http" && u.Host != "" && u.Port() == "" {
		u.Host += ":80"
		return u.String()
	}
	return upstream
}

// fromHere returns a listening address as a program on this machine reaches it.
func fromHere(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip, ipErr := netip.ParseAddr(host); err == nil && (host == "" || ipErr == nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}

// websiteURL reads --url.
func websiteURL(s string) (*url.URL, error) {
	if s == "" {
		return nil, errors.New("--url is missing: the address of your website as browsers see it")
	}
	u, err := parseOrigin("--url", s)
	if err == nil && strings.Trim(u.Host, hostCharacters+":[]") != "" {
		err = fmt.Errorf("--url: a recipe cannot have the host %q", u.Host)
	}
	return u, err
}

// identityHeaders checks names as the configuration of the site does.
func identityHeaders(flag string, names []string) ([]gateway.IdentityHeader, error) {
	var list []gateway.IdentityHeader
	for _, h := range names {
		list = append(list, gateway.IdentityHeader{Name: h, Value: "username"})
	}
	if err := gateway.CheckIdentityHeaders(list); err != nil {
		return nil, fmt.Errorf("%s: %s", flag, cli.Explain(err))
	}
	return list, nil
}

// hostCharacters stand for themselves in every configuration, and in every regular expression but for the dot.
const hostCharacters = "._-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// pathCharacters may stand in a path of a recipe, which quotes those that mean something in a regular expression.
const pathCharacters = "*/" + hostCharacters

// command is the command line that writes the recipe.
func (o *recipeOptions) command(name string, f *pflag.FlagSet) string {
	var b strings.Builder
	b.WriteString(recipe.Marker + name)
	f.Visit(func(f *pflag.Flag) {
		if list, ok := f.Value.(pflag.SliceValue); ok {
			for _, v := range list.GetSlice() {
				b.WriteString(" --" + f.Name + " " + v)
			}
			return
		}
		b.WriteString(" --" + f.Name)
		if f.Value.Type() != "bool" {
			b.WriteString(" " + f.Value.String())
		} else if f.Value.String() != "true" {
			b.WriteString("=false")
		}
	})
	return b.String()
}

// compare prints what a file lacks of the recipe for the options that its first line names.
func (o *recipeOptions) compare(cmd *cobra.Command, name string) error {
	have, err := os.ReadFile(o.check)
	if err != nil {
		return err
	}
	args, ok := recipe.CommandOf(string(have))
	if !ok {
		return fmt.Errorf("%s has no line %q, which names the options to compare with",
			o.check, "# "+recipe.Marker+name+" ...")
	}
	written := &recipeOptions{}
	f := pflag.NewFlagSet("recipe", pflag.ContinueOnError)
	written.addFlags(f)
	if err := f.Parse(args); err != nil || f.NArg() != 1 || f.Arg(0) != name || written.check != "" {
		return fmt.Errorf("%s says it is of %q, which is no recipe of %s",
			o.check, recipe.Marker+strings.Join(args, " "), name)
	}
	cfg, err := written.recipe(name, f)
	if err != nil {
		return fmt.Errorf("%s: %w", o.check, err)
	}
	lacks, err := recipe.Lacks(name, cfg, string(have))
	if err != nil {
		return err
	}
	for _, l := range lacks {
		fmt.Fprintln(cmd.OutOrStdout(), l)
	}
	if len(lacks) > 0 {
		return cli.Exitf(1, "%s differs from the recipe in %d lines: print it anew with %q", o.check, len(lacks), cfg.Command)
	}
	return nil
}
