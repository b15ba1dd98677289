package gateway

import (
	"net/http"
	"slices"
	"strconv"

	"userkeys"
	"userkeys/gateway/internal/headers"
)

// The headers in which an upstream learns who calls with which key. The proxy
// removes every header of a client whose name begins like these, in any
// spelling, so an upstream that only the proxy can reach may believe them.
// Values that are not plain are percent-encoded, for [url.PathUnescape].
const (
	UsernameHeader         = "X-Userkeys-Username"
	UserIDHeader           = "X-Userkeys-User-Id"
	TrustLevelHeader       = "X-Userkeys-Trust-Level" // 0 to 4
	AdminHeader            = "X-Userkeys-Admin"       // true or false
	ModeratorHeader        = "X-Userkeys-Moderator"   // true or false
	GroupsHeader           = "X-Userkeys-Groups"      // separated by commas; absent if none
	ScopesHeader           = "X-Userkeys-Scopes"      // separated by commas; absent if none
	IdentityClientIDHeader = "X-Userkeys-Client-Id"
	KeyIDHeader            = "X-Userkeys-Key-Id"
	// ExternalIDHeader is what the provider that signs the user in calls them; absent if none does.
	ExternalIDHeader = "X-Userkeys-External-Id"
	// LoginHeader is the name of the login whose provider says so: ids of two providers may be alike.
	LoginHeader = "X-Userkeys-Login"
)

// IdentityHeader is a header in which the website learns who calls in its own words, such as Remote-User, beside those
// above. No client can send it, in whatever spelling. A website finds no such header where there is no key, or nothing
// to tell.
type IdentityHeader = headers.Identity

// CheckIdentityHeaders reports what is wrong with the identity headers of a site: one that means something else, an
// unknown value or encoding, a name twice.
//
// Errors: [userkeys.InvalidParameters].
func CheckIdentityHeaders(list []IdentityHeader) error { return headers.CheckIdentities(list) }

// CheckLoginHeader reports what is wrong with the name of a header in which a proxy tells who signs in: that it means
// something else. See [ProxyConfig.LoginHeaders].
//
// Errors: [userkeys.InvalidParameters].
func CheckLoginHeader(name string) error { return headers.CheckLogin(name) }

// NeedProfiles reports whether the authority must know names and e-mail addresses for the headers in list; see
// authority.Config.
func NeedProfiles(list []IdentityHeader) bool { return headers.NeedProfiles(list) }

// identityNames are the headers above, which every website gets.
var identityNames = [...]string{
	UsernameHeader, UserIDHeader, TrustLevelHeader, AdminHeader, ModeratorHeader, GroupsHeader, ScopesHeader,
	IdentityClientIDHeader, KeyIDHeader, ExternalIDHeader, LoginHeader,
}

// IdentityHeaderNames returns the names of all headers in which a website learns who calls, also of those in its own
// words: those that [Proxy] sets and removes from requests of clients, and that every allowing answer of [Asked] has.
func IdentityHeaderNames(more ...IdentityHeader) []string {
	return slices.Concat(identityNames[:], headers.NamesOf(headers.Canonical(more)))
}

// ForgeableHeaders returns the names of the headers in which the common authenticating proxies tell a website who
// calls, and of those that change what a request asks for or hold an API key. A name that ends in a hyphen
// stands for all that begin so. [Proxy] removes them from requests with a key, and most from all requests of clients.
func ForgeableHeaders() (identity, overrides []string) { return headers.Forgeable() }

// SharedCacheHeaders returns the headers that outrank Cache-Control for some cache that many clients share. [Proxy] and
// [Guard] remove them, and X-Accel-Expires, from answers to requests with a key.
func SharedCacheHeaders() []string { return headers.SharedCaches() }

// countIdentity is how many headers [setIdentity] sets.
func countIdentity(a userkeys.Access) int {
	n := 4 + 2*min(len(a.ExternalID), 1)
	if a.Standing != nil {
		n += 3 + min(len(a.Groups), 1) + min(len(a.Scopes), 1)
	}
	return n
}

// setIdentity tells the upstream who calls, also in the headers more. All values share one allocation.
func setIdentity(h http.Header, a userkeys.Access, more []IdentityHeader) {
	lines := make([]string, 0, countIdentity(a)+len(more))
	set := func(name, value string) {
		lines = append(lines, value)
		h[name] = lines[len(lines)-1 : len(lines) : len(lines)]
	}
	for i := range more {
		if value := more[i].Of(a); value != "" {
			set(more[i].Name, value)
		}
	}
	set(UsernameHeader, headers.Encode(a.Username))
	set(UserIDHeader, strconv.FormatInt(a.UserID, 10))
	set(IdentityClientIDHeader, headers.Encode(a.ClientID))
	set(KeyIDHeader, strconv.FormatInt(a.KeyID, 10))
	if a.ExternalID != "" {
		set(ExternalIDHeader, headers.Encode(a.ExternalID))
		if a.Standing != nil {
			set(LoginHeader, headers.Encode(a.Login))
		}
	}
	if a.Standing == nil {
		return
	}
	set(TrustLevelHeader, strconv.Itoa(a.TrustLevel))
	set(AdminHeader, strconv.FormatBool(a.Admin))
	set(ModeratorHeader, strconv.FormatBool(a.Moderator))
	if len(a.Groups) > 0 {
		set(GroupsHeader, headers.EncodeList(a.Groups))
	}
	if len(a.Scopes) > 0 {
		set(ScopesHeader, headers.EncodeList(a.Scopes))
	}
}

// SameHeader reports whether some server or framework takes two names of headers for one: by case, and by what stands
// between letters and digits.
func SameHeader(a, b string) bool { return headers.Same(a, b) }
