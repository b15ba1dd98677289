package sitedata

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/pflag"

	"userkeys"
	"userkeys/internal/cli"
	"userkeys/internal/sso"
	"userkeys/site"
)

// configFile is the content of the configuration file: options by the names of the flags of serve, and what no flag
// has.
type configFile struct {
	options  map[string]any
	settings map[string]any
	scopes   []scopeTable
	logins   []loginTable

	carrierTables  []carrierTable
	identityTables []identityTable
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
	for _, name := range slices.Sorted(maps.Keys(file.options)) {
		f := flags.Lookup(name)
		if f == nil || f.Changed { // another command's, or given already
			continue
		}
		if err := flags.Set(name, listText(file.options[name], ",")); err != nil {
			return sc, fmt.Errorf("%s:%d: %s: %w", path, lineOf(text, "", 0, name), name, err)
		}
	}
	return file.site(path, text)
}

// parseConfig refuses unknown names: a misspelt option must not silently be the default.
func parseConfig(path string, text []byte) (configFile, error) {
	file := configFile{options: make(map[string]any)}
	var parts map[string]toml.Primitive
	md, err := toml.Decode(string(text), &parts)
	if err != nil {
		return file, fmt.Errorf("%s: %w", path, err)
	}
	known := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	new(ServeOptions).AddFlags(known)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		part := parts[name]
		switch {
		case name == "settings":
			err = md.PrimitiveDecode(part, &file.settings)
		case name == "scope":
			err = md.PrimitiveDecode(part, &file.scopes)
		case name == "login":
			err = md.PrimitiveDecode(part, &file.logins)
		case name == "carrier":
			err = md.PrimitiveDecode(part, &file.carrierTables)
		case name == "identity-header":
			err = md.PrimitiveDecode(part, &file.identityTables)
		case name == "config" || known.Lookup(name) == nil:
			return file, fmt.Errorf("%s:%d: there is no option %s", path, lineOf(text, "", 0, name), name)
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
		table, name := unknown[0][0], unknown[0][len(unknown[0])-1]
		has := map[string]string{
			"scope":           "a scope has a name, a sentence and routes, but",
			"identity-header": "an identity-header has",
		}[table]
		at := lineOf(text, table, anyTable, name)
		return file, fmt.Errorf("%s:%d: %s no %s", path, at, cmp.Or(has, "a "+table+" has"), name)
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
	for _, name := range slices.Sorted(maps.Keys(file.settings)) {
		sc.Pinned[name] = listText(file.settings[name], "|")
		if err := probe.Set(name, sc.Pinned[name]); err != nil {
			return sc, fmt.Errorf("%s:%d: %s", path, lineOf(text, "settings", 0, name), cli.Explain(err))
		}
	}
	var err error
	if sc.Scopes, err = file.ownScopes(path, text); err != nil {
		return sc, err
	}
	if sc.Carriers, err = file.carriers(path, text, probe); err != nil {
		return sc, err
	}
	if sc.IdentityHeaders, err = file.identityHeaders(path, text); err != nil {
		return sc, err
	}
	for i, t := range file.logins {
		l, err := t.login()
		if err != nil {
			option, _, _ := strings.Cut(err.Error(), " ") // most errors begin with it
			line := lineOf(text, "login", i, strings.TrimSuffix(option, ":"))
			return sc, fmt.Errorf("%s:%d: login %s: %w", path, line, t.Name, err)
		}
		if slices.ContainsFunc(sc.Logins, func(o sso.Login) bool { return o.Name == t.Name }) {
			return sc, fmt.Errorf("%s:%d: there are two logins of the name %s", path, lineOf(text, "login", i, "name"), t.Name)
		}
		if slices.ContainsFunc(sc.Logins, func(o sso.Login) bool { return o.Issuer == l.Issuer }) {
			return sc, fmt.Errorf("%s: two logins have the provider %s; its users would be the same people", path, l.Issuer)
		}
		sc.Logins = append(sc.Logins, l)
	}
	return sc, nil
}

// ReadScopes returns the scopes of a configuration file.
func ReadScopes(path string, text []byte) ([]userkeys.Scope, error) {
	file, err := parseConfig(path, text)
	if err != nil {
		return nil, err
	}
	return file.ownScopes(path, text)
}

func (file configFile) ownScopes(path string, text []byte) ([]userkeys.Scope, error) {
	var scopes []userkeys.Scope
	for i, s := range file.scopes {
		scope := userkeys.Scope{Name: s.Name, Sentence: s.Sentence}
		if strings.HasPrefix(s.Sentence, "TODO") { // as userkeys scopes import writes it
			return nil, fmt.Errorf("%s:%d: scope %s: write the sentence that people read in place of TODO",
				path, lineOf(text, "scope", i, "sentence"), s.Name)
		}
		for _, r := range s.Routes {
			route, err := userkeys.ParseRoute(r)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %s", path, lineOf(text, "scope", i, r), cli.Explain(err))
			}
			scope.Routes = append(scope.Routes, route)
		}
		scopes = append(scopes, scope)
	}
	if _, err := userkeys.NewCatalog(scopes...); err != nil {
		return nil, fmt.Errorf("%s: %s", path, cli.Explain(err))
	}
	return scopes, nil
}

// listText returns a value of the file in the form that a flag or a setting takes.
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

// anyTable asks [lineOf] for any table of a name.
const anyTable = -1

// lineOf returns the line of the key word in the nth table of a name, those below it included, or of the route word; of
// the table itself if there is none, and 1 if there is no such table. The table of the options is "".
func lineOf(text []byte, table string, n int, word string) int {
	inside, at, holds := 0, 1, 0
	if table != "" {
		inside = anyTable
	}
	current := table == ""
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			name, _, _ := strings.Cut(strings.TrimLeft(line, "["), "]")
			if name = strings.TrimSpace(name); table == "" && name == word {
				return i + 1 // a table where an option would be
			}
			if current = name == table || table != "" && strings.HasPrefix(name, table+"."); name == table {
				inside++
			}
			if name == table && inside == n {
				at = i + 1
			}
		}
		if !current || n != anyTable && inside != n {
			continue
		}
		key, _, _ := strings.Cut(line, "=")
		if strings.Trim(key, ` "'`) == word {
			return i + 1
		}
		if holds == 0 && strings.ContainsAny(word, " /") && strings.Contains(line, word) {
			holds = i + 1
		}
	}
	return cmp.Or(holds, at)
}
