package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"userkeys"
	"userkeys/site"
)

// Every option of a command that runs or manages a site comes from, in this
// order: its flag, its environment variable (USERKEYS_ and the flag's name in
// capitals), the configuration file, its default.

// siteConfig is what the configuration file has besides options.
type siteConfig struct {
	pinned map[string]string
	scopes []userkeys.Scope
}

func envName(flag string) string {
	return "USERKEYS_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// addDataFlags are the options of every command that works on a site's data.
func addDataFlags(f *pflag.FlagSet) {
	f.String("config", "", "configuration file (TOML)")
	f.String("data", "userkeys-data", "folder of the SQLite database; serve, migrate and --init make it")
	f.String("database", "", "use this PostgreSQL database instead, postgres://user@host/name")
}

// resolve fills in the flags of cmd that were not given, and reads the rest of the file.
func resolve(cmd *cobra.Command) (siteConfig, error) {
	var sc siteConfig
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

func readConfig(path string, flags *pflag.FlagSet) (siteConfig, error) {
	var sc siteConfig
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
	known := newServeCommand().Flags()
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
		return file, fmt.Errorf("%s:%d: a scope has a name, a sentence and routes, but no %s", path, lineOf(text, name), name)
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

func (file configFile) site(path string, text []byte) (siteConfig, error) {
	sc := siteConfig{pinned: make(map[string]string)}
	probe := site.DefaultSettings()
	for name, value := range file.settings {
		sc.pinned[name] = listText(value, "|")
		if err := probe.Set(name, sc.pinned[name]); err != nil {
			return sc, fmt.Errorf("%s:%d: %s", path, lineOf(text, name), explain(err))
		}
	}
	for _, s := range file.scopes {
		scope := userkeys.Scope{Name: s.Name, Sentence: s.Sentence}
		for _, r := range s.Routes {
			route, err := userkeys.ParseRoute(r)
			if err != nil {
				return sc, fmt.Errorf("%s:%d: %s", path, lineOf(text, r), explain(err))
			}
			scope.Routes = append(scope.Routes, route)
		}
		sc.scopes = append(sc.scopes, scope)
	}
	if _, err := userkeys.NewCatalog(sc.scopes...); err != nil {
		return sc, fmt.Errorf("%s: %s", path, explain(err))
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
