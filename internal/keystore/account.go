package keystore

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
)

// An Account describes a key that a person has: which site it is for and what it may
// do. The key itself is kept apart.
type Account struct {
	ID         string           `json:"id"` // names its secret
	Site       string           `json:"site"`
	Name       string           `json:"account,omitempty"` // the person's name there, or what they call it; empty: unknown
	ClientID   string           `json:"client_id"`
	Scopes     userkeys.Scopes  `json:"scopes"`
	Push       bool             `json:"push,omitempty"`
	API        int              `json:"api,omitempty"`
	Padding    userkeys.Padding `json:"padding,omitempty"`
	CreatedAt  time.Time        `json:"created_at"`
	ExpiresAt  time.Time        `json:"expires_at,omitzero"`
	LastUsedAt time.Time        `json:"last_used_at,omitzero"`
	RenewAfter time.Time        `json:"renew_after,omitzero"` // before it a renewal is not tried again
}

// RenewalDue reports whether c, the account's key, should be renewed at now.
func (a Account) RenewalDue(c *client.Credential, now time.Time) bool {
	return c.RenewalDue(a.CreatedAt, now) && !now.Before(a.RenewAfter)
}

// NoName is how a person asks for a key whose account has no name.
const NoName = "-"

// String is the account for people: alice on https://forum.example.
func (a Account) String() string {
	if a.Name == "" {
		return a.Site
	}
	return a.Name + " on " + a.Site
}

// Accounts are sorted by site, then name.
type Accounts []Account

func (all Accounts) sort() {
	slices.SortFunc(all, func(a, b Account) int {
		return cmp.Or(strings.Compare(a.Site, b.Site), strings.Compare(a.Name, b.Name))
	})
}

// At returns the accounts on a site as a person writes it; an empty site means all.
// If name is not empty, only those with that name; [NoName] means without one.
func (all Accounts) At(site, name string) (Accounts, error) {
	site, asked, found := strings.TrimSpace(site), name, all
	if at := strings.LastIndexByte(site, '@'); at > 0 && name == "" && !strings.Contains(site[:at], "://") {
		site, asked = site[at+1:], site[:at] // alice@forum.example
	}
	if site != "" {
		want, err := client.ParseSite(site)
		if err != nil {
			return nil, err
		}
		found = all.on(want)
		if len(found) == 0 && !strings.Contains(site, "://") {
			found = all.on("http" + strings.TrimPrefix(want, "https")) // people leave the scheme out
		}
		if len(found) == 0 {
			return nil, all.none(want)
		}
	}
	if asked != "" {
		want := asked
		if asked == NoName {
			want = ""
		}
		named := slices.DeleteFunc(slices.Clone(found), func(a Account) bool { return a.Name != want })
		if len(named) == 0 {
			return nil, userkeys.Errorf(userkeys.NotFound, "there is no account %s (there is %s)",
				userkeys.Printable(asked), found.list())
		}
		found = named
	}
	return found, nil
}

// One returns the only account on a site with a name, which may both be empty as for
// [Accounts.At].
func (all Accounts) One(site, name string) (Account, error) {
	if len(all) == 0 {
		return Account{}, all.none("SITE")
	}
	found, err := all.At(site, name)
	if err != nil {
		return Account{}, err
	}
	if len(found) > 1 {
		return Account{}, found.several()
	}
	return found[0], nil
}

// several says how to choose one.
func (all Accounts) several() error {
	nameless := ""
	if slices.ContainsFunc(all, func(a Account) bool { return a.Name == "" }) {
		nameless = " (--account " + NoName + " is the one without a name)"
	}
	return userkeys.Errorf(userkeys.InvalidParameters,
		"there are several keys; choose one by --account%s, or as in alice@forum.example: %s", nameless, all.list())
}

// For returns the account for a call to target. If that is a whole address, it is the
// account on its site; if it is a path, the one that [Accounts.One] returns for site
// and name. It also returns the path on that site.
func (all Accounts) For(site, name, target string) (Account, string, error) {
	if u, err := url.Parse(target); err == nil && u.Scheme != "" && u.Host != "" {
		if site != "" {
			return Account{}, "",
				userkeys.Errorf(userkeys.InvalidParameters, "give --site and a path, or a whole address, not both")
		}
		return all.forAddress(u, name)
	}
	if !strings.HasPrefix(target, "/") {
		return Account{}, "", userkeys.Errorf(userkeys.InvalidParameters,
			"%q is no path: it begins with a slash, or is a whole address of a stored site", target)
	}
	a, err := all.One(site, name)
	return a, target, err
}

func (all Accounts) forAddress(u *url.URL, name string) (Account, string, error) {
	var best string
	for _, a := range all { // of two that fit the one in the deeper folder
		if client.OnSite(a.Site, u) && len(a.Site) > len(best) {
			best = a.Site
		}
	}
	if best == "" {
		return Account{}, "", all.none(u.Scheme + "://" + u.Host)
	}
	a, err := all.One(best, name)
	if err != nil {
		return Account{}, "", err
	}
	at, err := url.Parse(best)
	if err != nil {
		return Account{}, "", err
	}
	path := cmp.Or(strings.TrimPrefix(u.EscapedPath(), at.EscapedPath()), "/")
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return a, path, nil
}

func (all Accounts) on(site string) Accounts {
	return slices.DeleteFunc(slices.Clone(all), func(a Account) bool { return a.Site != site })
}

func (all Accounts) none(site string) error {
	if len(all) == 0 {
		return userkeys.Errorf(userkeys.NotFound, "there is no stored key; get one: userkeys login %s", site)
	}
	return userkeys.Errorf(userkeys.NotFound, "there is no key for %s (there is for %s); get one: userkeys login %s",
		site, all.list(), site)
}

func (all Accounts) list() string {
	var names []string
	for _, a := range all {
		names = append(names, userkeys.Printable(a.String()))
	}
	return strings.Join(names, ", ")
}
