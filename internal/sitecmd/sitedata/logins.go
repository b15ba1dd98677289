package sitedata

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"userkeys/gateway"
	"userkeys/internal/cli"
	"userkeys/internal/sso"
)

// loginTable is a [[login]] of the configuration file.
type loginTable struct {
	Name      string `toml:"name"`
	Title     string `toml:"title"`
	Kind      string `toml:"kind"`
	OwnerGone string `toml:"owner-gone"`

	Issuer           string   `toml:"issuer"`
	ClientID         string   `toml:"client-id"`
	ClientSecretFile string   `toml:"client-secret-file"`
	Scopes           []string `toml:"scopes"`
	GroupsClaim      string   `toml:"groups-claim"`

	URL        string `toml:"url"`
	SecretFile string `toml:"secret-file"`

	Header       string   `toml:"header"`
	NameHeader   string   `toml:"name-header"`
	EmailHeader  string   `toml:"email-header"`
	GroupsHeader string   `toml:"groups-header"`
	From         []string `toml:"from"`

	OnlyGroups []string    `toml:"only-groups"`
	Approve    bool        `toml:"approve"`
	TrustLevel *int        `toml:"trust-level"`
	Groups     bool        `toml:"groups"`
	Staff      bool        `toml:"staff"`
	Rules      []ruleTable `toml:"rule"`
}

type ruleTable struct {
	Group      string `toml:"group"`
	User       string `toml:"user"`
	Admin      bool   `toml:"admin"`
	Moderator  bool   `toml:"moderator"`
	TrustLevel int    `toml:"trust-level"`
	AddGroup   string `toml:"into"`
}

var (
	loginName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$`)
	daysText  = regexp.MustCompile(`^([1-9][0-9]{0,4})d$`)
)

// login reads t, and says what is wrong with it.
func (t loginTable) login() (sso.Login, error) {
	l := sso.Login{Name: t.Name, Title: t.Title, Kind: t.Kind}
	if !loginName.MatchString(t.Name) {
		return l, fmt.Errorf("the name %q of a login has 1 to 32 small letters, digits and hyphens", t.Name)
	}
	var err error
	if l.PauseAfter, err = pauseAfter(t.OwnerGone); err != nil {
		return l, err
	}
	if l.Rules, err = t.rules(); err != nil {
		return l, err
	}
	if err := t.onlyOfItsKind(); err != nil {
		return l, err
	}
	switch t.Kind {
	case sso.KindOIDC:
		err = t.oidc(&l)
	case sso.KindDiscourse:
		err = t.discourse(&l)
	case sso.KindHeader:
		err = t.header(&l)
	default:
		err = fmt.Errorf("kind is oidc, discourse or header, not %q", t.Kind)
	}
	return l, err
}

// pauseAfter reads what happens to the keys of somebody who does not come back.
func pauseAfter(text string) (time.Duration, error) {
	switch m := daysText.FindStringSubmatch(text); {
	case text == "":
		return 0, fmt.Errorf(`owner-gone is missing: "30d" pauses the keys of users who have not signed in for 30 days, ` +
			`"sync" says that you push your users here (userkeys user sync), "never" that keys outlive the account there`)
	case text == "sync", text == "never":
		return 0, nil
	case m != nil:
		days, err := strconv.Atoi(m[1])
		return time.Duration(days) * 24 * time.Hour, err
	}
	return 0, fmt.Errorf(`owner-gone is a number of days such as "30d", or "sync" or "never", not %q`, text)
}

func (t loginTable) rules() (sso.Rules, error) {
	rs := sso.Rules{
		OnlyGroups: t.OnlyGroups, Approve: t.Approve, TrustLevel: 1, Groups: t.Groups, Staff: t.Staff,
	}
	if t.TrustLevel != nil {
		rs.TrustLevel = *t.TrustLevel
	}
	for _, r := range t.Rules {
		rs.Rules = append(rs.Rules, sso.Rule(r))
	}
	if err := rs.Check(); err != nil {
		return rs, fmt.Errorf("%s", cli.Explain(err))
	}
	return rs, nil
}

// onlyOfItsKind refuses options that the kind of login does not have, so that none is silently without effect.
func (t loginTable) onlyOfItsKind() error {
	given := map[string][]string{}
	note := func(kind, name string, is bool) {
		if is {
			given[kind] = append(given[kind], name)
		}
	}
	note(sso.KindOIDC, "issuer", t.Issuer != "")
	note(sso.KindOIDC, "client-id", t.ClientID != "")
	note(sso.KindOIDC, "client-secret-file", t.ClientSecretFile != "")
	note(sso.KindOIDC, "scopes", t.Scopes != nil)
	note(sso.KindOIDC, "groups-claim", t.GroupsClaim != "")
	note(sso.KindDiscourse, "url", t.URL != "")
	note(sso.KindDiscourse, "secret-file", t.SecretFile != "")
	note(sso.KindHeader, "header", t.Header != "")
	note(sso.KindHeader, "name-header", t.NameHeader != "")
	note(sso.KindHeader, "email-header", t.EmailHeader != "")
	note(sso.KindHeader, "groups-header", t.GroupsHeader != "")
	note(sso.KindHeader, "from", t.From != nil)
	for _, kind := range []string{sso.KindOIDC, sso.KindDiscourse, sso.KindHeader} {
		if names := given[kind]; kind != t.Kind && len(names) > 0 {
			return fmt.Errorf("%s is no key of a login of kind %q", names[0], t.Kind)
		}
	}
	return nil
}

func (t loginTable) oidc(l *sso.Login) error {
	u, err := url.Parse(t.Issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return fmt.Errorf("issuer is the provider's https address as it says it itself, such as https://id.example, not %q",
			t.Issuer)
	}
	if t.ClientID == "" {
		return fmt.Errorf("client-id is missing: the name under which the provider knows this site")
	}
	l.Issuer = t.Issuer // as it is spelled: the provider compares bytes
	l.OIDC = sso.OIDCConfig{Issuer: t.Issuer, ClientID: t.ClientID, Scopes: t.Scopes, GroupsClaim: t.GroupsClaim}
	if t.ClientSecretFile != "" {
		l.OIDC.ClientSecret, err = secretIn("client-secret-file", t.ClientSecretFile, 1)
	}
	return err
}

// minConnectSecret is the shortest secret that Discourse itself takes.
const minConnectSecret = 10

func (t loginTable) discourse(l *sso.Login) error {
	u, err := url.Parse(t.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" ||
		u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return fmt.Errorf("url is where the provider takes requests of DiscourseConnect, an https address such as "+
			"https://forum.example/session/sso_provider, not %q", t.URL)
	}
	l.Issuer = u.String()
	l.Discourse.URL = u
	if t.SecretFile == "" {
		return fmt.Errorf("secret-file is missing: a file with the secret that is shared with the provider")
	}
	l.Discourse.Secret, err = secretIn("secret-file", t.SecretFile, minConnectSecret)
	return err
}

// isLoopback reports whether a host is this machine, which needs no https.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (t loginTable) header(l *sso.Login) error {
	if t.Header == "" {
		return errors.New("header is missing: the header in which the proxy names the user, such as Remote-User")
	}
	for _, h := range []struct{ option, name string }{
		{"header", t.Header},
		{"name-header", t.NameHeader},
		{"email-header", t.EmailHeader},
		{"groups-header", t.GroupsHeader},
	} {
		if h.name == "" {
			continue
		}
		if err := gateway.CheckLoginHeader(h.name); err != nil {
			return fmt.Errorf("%s: %s", h.option, cli.Explain(err))
		}
	}
	l.Issuer = "header:" + t.Name
	l.Header = sso.HeaderConfig{
		User: http.CanonicalHeaderKey(t.Header), Name: t.NameHeader, Email: t.EmailHeader, Groups: t.GroupsHeader,
	}
	var err error
	if l.Header.From, l.Header.Unix, err = Proxies(t.From); err != nil {
		return fmt.Errorf("from: %s", cli.Explain(err))
	}
	if len(l.Header.From) == 0 && !l.Header.Unix {
		return fmt.Errorf(`from is missing: the networks of the proxies whose word counts, such as ["127.0.0.1"], ` +
			`or "unix" for a Unix socket; else anybody could sign in as anybody`)
	}
	return nil
}

// secretIn reads the secret in a file, which not everybody on the machine may read.
func secretIn(option, path string, atLeast int) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", option, err)
	}
	if info.Mode().Perm()&0o004 != 0 {
		return "", fmt.Errorf("%s: everybody may read %s; chmod 600 it", option, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", option, err)
	}
	secret := strings.TrimRight(cli.WithoutBOM(string(text)), "\r\n")
	if len(secret) < atLeast || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf("%s: %s has no secret of at least %d bytes on one line", option, path, atLeast)
	}
	return secret, nil
}
