package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"userkeys"
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
	f.String("data", "userkeys-data", "folder of the SQLite database; made if missing")
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

// configFile is the shape of the file: options by the names of serve's flags, and these.
type configFile struct {
	Settings map[string]any `toml:"settings"`
	Scopes   []struct {
		Name     string   `toml:"name"`
		Sentence string   `toml:"sentence"`
		Routes   []string `toml:"routes"`
	} `toml:"scope"`
}

func readConfig(path string, flags *pflag.FlagSet) (siteConfig, error) {
	var sc siteConfig
	text, err := os.ReadFile(path)
	if err != nil {
		return sc, err
	}
	options := make(map[string]any)
	if _, err := toml.Decode(string(text), &options); err != nil {
		return sc, fmt.Errorf("%s: %w", path, err)
	}
	var file configFile
	if _, err := toml.Decode(string(text), &file); err != nil {
		return sc, fmt.Errorf("%s: %w", path, err)
	}
	if err := checkNames(path, text, file, options); err != nil {
		return sc, err
	}
	if err := checkSecret(path, options); err != nil {
		return sc, err
	}
	for name, value := range options {
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

// checkNames refuses names that mean nothing: a mistyped option must not be a silent default.
func checkNames(path string, text []byte, file configFile, options map[string]any) error {
	known := []string{"settings", "scope"}
	newServeCommand().Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	for name := range options {
		if name == "config" || name == "help" || !slices.Contains(known, name) {
			return fmt.Errorf("%s:%d: there is no option %s", path, lineOf(text, name), name)
		}
	}
	md, err := toml.Decode(string(text), new(struct {
		Scope []map[string]any `toml:"scope"`
	}))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, k := range md.Keys() {
		if len(k) == 2 && k[0] == "scope" && !slices.Contains([]string{"name", "sentence", "routes"}, k[1]) {
			return fmt.Errorf("%s:%d: a scope has a name, a sentence and routes, but no %s", path, lineOf(text, k[1]), k[1])
		}
	}
	return nil
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
	probe := userkeys.DefaultSettings()
	for name, value := range file.Settings {
		sc.pinned[name] = listText(value, "|")
		if err := probe.Set(name, sc.pinned[name]); err != nil {
			return sc, fmt.Errorf("%s:%d: %s", path, lineOf(text, name), explain(err))
		}
	}
	for _, s := range file.Scopes {
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
