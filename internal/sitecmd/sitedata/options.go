// Package sitedata has the options of a site, from the command line, the environment
// and the configuration file, and opens the data that they name. It is the only place
// that chooses database drivers.
package sitedata

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"userkeys"
	"userkeys/gateway"
	"userkeys/internal/keycheck"
	"userkeys/internal/sso"
	"userkeys/site"
)

// Every option of a command that runs or manages a site comes from, in this
// order: its flag, its environment variable (USERKEYS_ and the flag's name in
// capitals), the configuration file, its default.

// Options are the options of every command that works on a site's data.
type Options struct {
	Data     string // the folder of the SQLite database, unless Database names another one
	Database string // a PostgreSQL server

	config string // the configuration file
	init   bool   // make the site
}

// AddFlags adds the options to the flags of a command.
func (o *Options) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.config, "config", "", "configuration file (TOML)")
	f.StringVar(&o.Data, "data", "userkeys-data",
		"folder of the SQLite database; serve, migrate and --init create it")
	f.StringVar(&o.Database, "database", "",
		"use this PostgreSQL database instead, such as postgres://user@host/name")
}

// AddInitFlag adds --init, for a command that may come before a site's first start.
func (o *Options) AddInitFlag(f *pflag.FlagSet) {
	f.BoolVar(&o.init, "init", false, "create the site if there is none yet")
}

// ServeOptions are the options of serve: all that the configuration file may have.
type ServeOptions struct {
	Options
	Listen          string
	URL             string
	Upstream        string
	UpstreamTimeout time.Duration
	Transport       string
	MinUploadRate   int
	Own             []string
	TrustedProxies  []string
	ClientIPHeader  string
	AskListen       string
	AskFrom         []string
	VaryByKey       bool
	SecretFile      string
	ReplaceSecret   bool
	SetupLink       bool
	PasswordLogin   bool
	Headroom        int // in megabytes
	MaxKeys         int
	LogFormat       string
	LogLevel        string
}

// The values of --upstream-transport.
const (
	TransportSynchronous = "synchronous"
	TransportStandard    = "standard"
)

// AddFlags adds the options to the flags of a command.
func (o *ServeOptions) AddFlags(f *pflag.FlagSet) {
	o.Options.AddFlags(f)
	f.StringVar(&o.Listen, "listen", "127.0.0.1:8080",
		"address to listen on, or a Unix socket such as unix:/run/userkeys/site.sock")
	f.StringVar(&o.URL, "url", "",
		"address at which browsers reach the site, such as https://keys.example "+
			"(default: http:// and the listening address)")
	f.StringVar(&o.Upstream, "upstream", "",
		"website to pass requests to, such as http://127.0.0.1:3000 or unix:/run/site.sock")
	f.DurationVar(&o.UpstreamTimeout, "upstream-timeout", 30*time.Second,
		"how long the website may take until it begins to respond")
	f.StringVar(&o.Transport, "upstream-transport", TransportSynchronous,
		"how requests are sent to a website without TLS: synchronous, which takes less processor time for small ones, "+
			"or standard, all by Go's net/http, as is every request to a website with TLS")
	f.IntVar(&o.MinUploadRate, "min-upload-rate", 64,
		"bytes per second that an upload to the website must reach, measured over a minute; 0 for no limit")
	f.StringSliceVar(&o.Own, "own", nil, "paths to answer here although there is an upstream, such as "+
		"/session/current.json; apps for all that apps ask for, none for nothing at all (see above)")
	f.StringSliceVar(&o.TrustedProxies, "trusted-proxy", nil,
		"networks of proxies in front of this server whose X-Forwarded-For is trusted; "+
			"unix: whoever connects to the Unix socket of --listen")
	f.StringVar(&o.ClientIPHeader, "client-ip-header", "X-Forwarded-For",
		"header in which these proxies name the client: X-Forwarded-For, Forwarded or X-Real-IP")
	f.StringVar(&o.AskListen, "ask-listen", "",
		"address at which web servers ask about each of their requests, such as 127.0.0.1:8081 or "+
			"unix:/run/userkeys/ask.sock; nothing else must reach it")
	f.StringSliceVar(&o.AskFrom, "ask-from", nil,
		"networks of the web servers that may ask at --ask-listen; needed unless it is a loopback address or a Unix socket")
	f.BoolVar(&o.VaryByKey, "vary-by-key", false,
		"add Vary: User-Api-Key also to the website's responses to requests without a key, "+
			"for caches in front of this server; some CDNs then store none of them")
	f.StringVar(&o.SecretFile, "secret-file", "",
		"file with the machine secret, 64 hexadecimal digits, the same on all servers of a site; "+
			"by default userkeys.secret in --data, which is created if missing")
	f.BoolVar(&o.ReplaceSecret, "replace-secret", false,
		"use this machine secret although the site had another one; apps must then fetch their push secrets again")
	f.BoolVar(&o.SetupLink, "setup-link", false,
		"print a link that makes an administrator although the site has users, if none of them is an administrator")
	f.BoolVar(&o.PasswordLogin, "password-login", true,
		"let people sign in with a password of this site; false needs a [[login]] in the configuration file")
	f.IntVar(&o.Headroom, "gc-headroom", 32,
		"megabytes that may be allocated before memory is searched for garbage, at least: more takes less processor "+
			"time; 0 for Go's own rule, which also holds if the environment variable GOGC is set")
	f.IntVar(&o.MaxKeys, "max-keys", keycheck.DefaultMaxKeys,
		"how many keys are kept in memory: at least all keys that are used within a minute, some 300 bytes each")
	f.StringVar(&o.LogFormat, "log-format", "text", "format of the log: text or json")
	f.StringVar(&o.LogLevel, "log-level", "info", "least level that is logged: debug, info, warn or error")
}

// Resolve sets the options that the command line did not give, and returns what
// the configuration file has besides. f are the flags that the options were added to.
func (o *Options) Resolve(f *pflag.FlagSet) (Config, error) {
	if err := fromEnvironment(f); err != nil || o.config == "" {
		return Config{}, err
	}
	return readConfig(o.config, f)
}

// ReadServe returns the options of serve and what else a configuration file has. An option that the file does not have
// is the default of serve.
func ReadServe(path string) (ServeOptions, Config, error) {
	var o ServeOptions
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	o.AddFlags(f)
	config, err := readConfig(path, f)
	return o, config, err
}

func fromEnvironment(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "USERKEYS_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		v, ok := os.LookupEnv(name)
		if !ok || f.Changed || f.Name == "help" || failed != nil {
			return
		}
		if err := flags.Set(f.Name, v); err != nil {
			failed = fmt.Errorf("%s: %w", name, err)
		}
	})
	return failed
}

// Config is what the configuration file has besides options.
type Config struct {
	Pinned map[string]string
	Scopes []userkeys.Scope
	Logins []sso.Login

	Carriers []site.Carrier // where keys may stand in the header Authorization
	// IdentityHeaders tell the website who calls in its own words.
	IdentityHeaders []gateway.IdentityHeader
}
