// Package sitedata has the options of a site, from the command line, the environment
// and the configuration file, and opens the data that they name. It is the only place
// that chooses database drivers.
package sitedata

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"userkeys/internal/cli"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"userkeys"
	"userkeys/site"
)

// Every option of a command that runs or manages a site comes from, in this
// order: its flag, its environment variable (USERKEYS_ and the flag's name in
// capitals), the configuration file, its default.

// Config is what the configuration file has besides options.
type Config struct {
	Pinned map[string]string
	Scopes []userkeys.Scope
}

func envName(flag string) string {
	return "USERKEYS_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// AddFlags are the options of every command that works on a site's data.
func AddFlags(f *pflag.FlagSet) {
	f.String("config", "", "configuration file (TOML)")
	f.String("data", "userkeys-data", "folder of the SQLite database; serve, migrate and --init make it")
	f.String("database", "", "use this PostgreSQL database instead, postgres://user@host/name")
}

// AddServeFlags are the options of serve: all that the configuration file may have.
func AddServeFlags(f *pflag.FlagSet) {
	AddFlags(f)
	f.String("listen", "127.0.0.1:8080", "address to listen on")
	f.String("url", "",
		"how browsers reach the site, such as https://keys.example; default http:// and the listening address")
	f.String("upstream", "", "the website to stand before, such as http://127.0.0.1:3000")
	f.Duration("upstream-timeout", 30*time.Second, "how long the website may take to begin an answer")
	f.Int("min-upload-rate", 64,
		"bytes a second that an upload to the website must reach, measured over a minute; 0 for any")
	f.StringSlice("own", nil, "more paths to answer here although there is an upstream, such as "+
		"/session/current.json; apps for all that apps ask for, none for nothing at all (see above)")
	f.StringSlice("trusted-proxy", nil, "networks of proxies before this server whose X-Forwarded-For is believed")
	f.String("client-ip-header", "X-Forwarded-For",
		"the header in which those proxies tell whose request it is: X-Forwarded-For, Forwarded or X-Real-IP")
	f.Bool("vary-by-key", false, "let also the website's answers to requests without a key say Vary: "+
		"User-Api-Key, for caches before this server; some CDNs then store none of them")
	f.String("secret-file", "", "file with the machine secret, 64 hexadecimal digits, the same on all servers of "+
		"a site; default userkeys.secret in --data, made if missing")
	f.Bool("replace-secret", false, "use this machine secret although the site had another one: apps must then "+
		"ask for their push secrets anew")
	f.Bool("setup-link", false, "print a link that makes an administrator although the site has users; only if "+
		"none of them is an administrator")
	f.String("log-format", "text", "text or json")
	f.String("log-level", "info", "debug, info, warn or error")
}

// Resolve fills in the flags of cmd that were not given, and reads the rest of the file.
func Resolve(cmd *cobra.Command) (Config, error) {
	var sc Config
	if err := fromEnvironment(cmd.Flags()); err != nil {
		return sc, err
	}
	path, err := cmd.Flags().GetString("config")
	if err != nil || path == "" {
		return sc, err
	}
	return readConfig(path, cmd.Flags())
}

func fromEnvironment(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		v, ok := os.LookupEnv(envName(f.Name))
		if !ok || f.Changed || f.Name == "help" || failed != nil {
			return
		}
		if err := flags.Set(f.Name, v); err != nil {
			failed = fmt.Errorf("%s: %w", envName(f.Name), err)
		}
	})
	return failed
}

// configFile is what the file says: options by the names of serve's flags, and
// what no flag has.
type configFile struct {
	options  map[string]any
	settings map[string]any
	scopes   []scopeTable
}

type scopeTable struct {
	Name     string   `toml:"name"`
	Sentence string   `toml:"sentence"`
	Routes   []string `toml:"routes"`
}

func readConfig(path string, flags *pflag.FlagSet) (Config, error) {
	var sc Config
	text, err := os.ReadFile(path)
	if err != nil {
		return sc, err
	}
	file, err := parseConfig(path, text)
	if err != nil {
		return sc, err
	}
	if err := checkSecret(path, file.options); err != nil {
		return sc, err
	}
	for name, value := range file.options {
		f := flags.Lookup(name)
		if f == nil || f.Changed { // another command's, or given already
			continue
		}
		if err := flags.Set(name, listText(value, ",")); err != nil {
			return sc, fmt.Errorf("%s:%d: %s: %w", path, lineOf(text, name), name, err)
		}
	}
	return file.site(path, text)
}

// parseConfig refuses names that mean nothing: a mistyped option must not be a silent default.
func parseConfig(path string, text []byte) (configFile, error) {
	file := configFile{options: make(map[string]any)}
	var parts map[string]toml.Primitive
	md, err := toml.Decode(string(text), &parts)
	if err != nil {
		return file, fmt.Errorf("%s: %w", path, err)
	}
	known := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	AddServeFlags(known)
	for name, part := range parts {
		switch {
		case name == "settings":
			err = md.PrimitiveDecode(part, &file.settings)
		case name == "scope":
			err = md.PrimitiveDecode(part, &file.scopes)
		case name == "config" || known.Lookup(name) == nil:
			return file, fmt.Errorf("%s:%d: there is no option %s", path, lineOf(text, name), name)
		default:
			var value any
			err = md.PrimitiveDecode(part, &value)
			file.options[name] = value
		}
		if err != nil {
			return file, fmt.Errorf("%s: %w", path, err)
		}
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		name := unknown[0][len(unknown[0])-1]
		return file, fmt.Errorf("%s:%d: a scope has a name, a sentence and routes, but no %s", path, lineOf(text, name),
			name)
	}
	return file, nil
}

// checkSecret refuses a password that everybody on the machine can read.
func checkSecret(path string, options map[string]any) error {
	dsn, _ := options["database"].(string)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if passwordIn(dsn) && info.Mode().Perm()&0o004 != 0 {
		return fmt.Errorf("%s has the password of the database and everybody may read it; chmod 600 it", path)
	}
	return nil
}

func (file configFile) site(path string, text []byte) (Config, error) {
	sc := Config{Pinned: make(map[string]string)}
	probe := site.DefaultSettings()
	for name, value := range file.settings {
		sc.Pinned[name] = listText(value, "|")
		if err := probe.Set(name, sc.Pinned[name]); err != nil {
			return sc, fmt.Errorf("%s:%d: %s", path, lineOf(text, name), cli.Explain(err))
		}
	}
	for _, s := range file.scopes {
		scope := userkeys.Scope{Name: s.Name, Sentence: s.Sentence}
		for _, r := range s.Routes {
			route, err := userkeys.ParseRoute(r)
			if err != nil {
				return sc, fmt.Errorf("%s:%d: %s", path, lineOf(text, r), cli.Explain(err))
			}
			scope.Routes = append(scope.Routes, route)
		}
		sc.Scopes = append(sc.Scopes, scope)
	}
	if _, err := userkeys.NewCatalog(sc.Scopes...); err != nil {
		return sc, fmt.Errorf("%s: %s", path, cli.Explain(err))
	}
	return sc, nil
}

// listText writes a value of the file as a flag or a setting takes it.
func listText(v any, separator string) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	var parts []string
	for _, e := range list {
		parts = append(parts, fmt.Sprint(e))
	}
	return strings.Join(parts, separator)
}

// lineOf is the first line of text that holds word; 1 if none does.
func lineOf(text []byte, word string) int {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if bytes.Contains(line, []byte(word)) {
			return i + 1
		}
	}
	return 1
}
