package sitecmd

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"userkeys"
	"userkeys/gateway"
	"userkeys/internal/cli"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/internal/wiring"
	"userkeys/server"
)

// siteConfig returns the configuration of a site by the options of serve, whose flags are f.
func siteConfig(
	o *sitedata.ServeOptions, file sitedata.Config, f *pflag.FlagSet, addr net.Addr,
) (wiring.Config, error) {
	cfg := wiring.Config{
		OnlyHost: o.URL != "", VaryByKey: o.VaryByKey,
		Scopes: file.Scopes, Pinned: file.Pinned, Logins: file.Logins,
		Carriers: file.Carriers, IdentityHeaders: file.IdentityHeaders, NoPasswords: !o.PasswordLogin,
	}
	if cfg.NoPasswords && len(cfg.Logins) == 0 {
		return cfg, errors.New("--password-login=false: nobody could sign in; name a [[login]] in the configuration file")
	}
	base := o.URL
	if _, unix := sitedata.UnixSocket(o.Listen); unix && base == "" {
		return cfg, errors.New("--url is missing: a Unix socket has no address at which browsers reach the site")
	} else if base == "" {
		base = "http://" + cli.Browsable(addr)
	}
	var err error
	if cfg.BaseURL, err = parseOrigin("--url", base); err != nil {
		return cfg, err
	}
	if o.Upstream != "" {
		if cfg.Upstream, err = parseUpstream(o.Upstream); err != nil {
			return cfg, err
		}
	}
	if cfg.UpstreamTimeout, cfg.StandardTransport, err = transport(o); err != nil {
		return cfg, err
	}
	if cfg.MinUploadRate, err = minUploadRate(o.MinUploadRate); err != nil {
		return cfg, err
	}
	if cfg.Headroom, err = headroomBytes(o.Headroom); err != nil {
		return cfg, err
	}
	if cfg.MaxKeys, err = maxKeys(o.MaxKeys); err != nil {
		return cfg, err
	}
	if cfg.OwnPaths, cfg.NoFallback, err = ownPaths(o.Own); err != nil {
		return cfg, err
	}
	if cfg.TrustedProxies, cfg.TrustUnix, err = sitedata.Proxies(o.TrustedProxies); err != nil {
		return cfg, fmt.Errorf("--trusted-proxy: %s", cli.Explain(err))
	}
	cfg.ClientIPHeader = o.ClientIPHeader
	nobody := len(cfg.TrustedProxies) == 0 && !cfg.TrustUnix
	return cfg, checkClientIPHeader(o.ClientIPHeader, f.Changed("client-ip-header") && nobody)
}

// transport reads --upstream-timeout and --upstream-transport.
func transport(o *sitedata.ServeOptions) (timeout time.Duration, standard bool, err error) {
	if o.UpstreamTimeout <= 0 {
		return 0, false,
			fmt.Errorf("--upstream-timeout: %v is no time in which a website could respond", o.UpstreamTimeout)
	}
	if o.Transport != sitedata.TransportSynchronous && o.Transport != sitedata.TransportStandard {
		return 0, false, fmt.Errorf("--upstream-transport: %q is neither synchronous nor standard", o.Transport)
	}
	return o.UpstreamTimeout, o.Transport == sitedata.TransportStandard, nil
}

// minUploadRate returns the rate for [gateway.ProxyConfig], in which a negative rate means none.
func minUploadRate(rate int) (int, error) {
	switch {
	case rate < 0 || rate > 1<<20:
		return 0, fmt.Errorf("--min-upload-rate: %d is not between 0 and %d bytes a second", rate, 1<<20)
	case rate == 0:
		return -1, nil
	}
	return rate, nil
}

// headroomBytes reads --gc-headroom.
func headroomBytes(megabytes int) (int64, error) {
	const most = 1 << 20 // a terabyte
	if megabytes < 0 || megabytes > most {
		return 0, fmt.Errorf("--gc-headroom: %d is not between 0 and %d megabytes", megabytes, most)
	}
	return int64(megabytes) << 20, nil
}

// maxKeys reads --max-keys.
func maxKeys(n int) (int, error) {
	const least, most = 1000, 100_000_000
	if n < least || n > most {
		return 0, fmt.Errorf("--max-keys: %d is not between %d and %d keys", n, least, most)
	}
	return n, nil
}

// Words that --own takes beside paths.
const (
	ownApps = "apps" // everything that apps ask a site for
	ownNone = "none" // nothing, also where the website says 404
)

// ownPaths returns the paths that the values of --own stand for. none reports whether even a 404 of the website is
// not answered here.
func ownPaths(values []string) (paths []string, none bool, err error) {
	for _, v := range values {
		switch {
		case v == ownApps:
			paths = append(paths, server.EndpointPaths()...)
		case v == ownNone:
			none = true
		case strings.HasPrefix(v, "/"):
			paths = append(paths, v)
		default:
			return nil, false,
				fmt.Errorf("--own: %q is neither a path such as /session/current.json nor %s or %s", v, ownApps, ownNone)
		}
	}
	return paths, none, nil
}

// checkClientIPHeader refuses a header that would never be trusted.
func checkClientIPHeader(header string, inVain bool) error {
	const flag = "--client-ip-header"
	if inVain {
		return fmt.Errorf("%s: name the proxies that send it with --trusted-proxy; nobody else is believed", flag)
	}
	if _, err := gateway.NewClientIPs(gateway.ClientIPConfig{Header: header}); err != nil {
		return fmt.Errorf("%s: %s", flag, cli.Explain(err))
	}
	return nil
}

// parseUpstream reads where the website is: an address with a scheme and a host only, or a Unix socket.
func parseUpstream(s string) (*url.URL, error) {
	if socket, ok := sitedata.UnixSocket(s); ok {
		return &url.URL{Scheme: "unix", Path: socket}, nil
	}
	return parseOrigin("--upstream", s)
}

// parseOrigin reads an address with a scheme and a host only, and writes it as browsers do.
func parseOrigin(flag, s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		if at := strings.LastIndexByte(s, '@'); at >= 0 {
			s = "..." + s[at:] // what stands before it may be a password, and this goes to logs
		}
		return nil, fmt.Errorf("%s: %q is no address such as http://127.0.0.1:3000 (scheme, host and port only)", flag, s)
	}
	host, err := userkeys.OriginHost(u)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", flag, cli.Explain(err))
	}
	return &url.URL{Scheme: u.Scheme, Host: host}, nil
}
