package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/gateway/internal/headers"
)

// The headers in which an upstream learns who calls with which key. The proxy
// removes every header of a client whose name begins like these, in any
// spelling, so an upstream that only the proxy can reach may believe them.
// Values that are not plain are percent-encoded; see [EncodeHeader].
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

// identityNames are all of them.
var identityNames = [...]string{
	UsernameHeader, UserIDHeader, TrustLevelHeader, AdminHeader, ModeratorHeader, GroupsHeader, ScopesHeader,
	IdentityClientIDHeader, KeyIDHeader, ExternalIDHeader, LoginHeader,
}

// IdentityHeaders returns the names of all headers in which a website learns who calls: those that [Proxy] sets
// and removes from requests of clients, and that every allowing answer of [Asked] has.
func IdentityHeaders() []string { return slices.Clone(identityNames[:]) }

// identityHeaders is how many headers [setIdentity] sets.
func identityHeaders(a userkeys.Access) int {
	n := 4 + 2*min(len(a.ExternalID), 1)
	if a.Standing != nil {
		n += 3 + min(len(a.Groups), 1) + min(len(a.Scopes), 1)
	}
	return n
}

// setIdentity tells the upstream who calls. All values share one allocation.
func setIdentity(h http.Header, a userkeys.Access) {
	lines := make([]string, 0, identityHeaders(a))
	set := func(name, value string) {
		lines = append(lines, value)
		h[name] = lines[len(lines)-1 : len(lines) : len(lines)]
	}
	set(UsernameHeader, EncodeHeader(a.Username))
	set(UserIDHeader, strconv.FormatInt(a.UserID, 10))
	set(IdentityClientIDHeader, EncodeHeader(a.ClientID))
	set(KeyIDHeader, strconv.FormatInt(a.KeyID, 10))
	if a.ExternalID != "" {
		set(ExternalIDHeader, EncodeHeader(a.ExternalID))
		if a.Standing != nil {
			set(LoginHeader, EncodeHeader(a.Login))
		}
	}
	if a.Standing == nil {
		return
	}
	set(TrustLevelHeader, strconv.Itoa(a.TrustLevel))
	set(AdminHeader, strconv.FormatBool(a.Admin))
	set(ModeratorHeader, strconv.FormatBool(a.Moderator))
	if len(a.Groups) > 0 {
		set(GroupsHeader, encodeList(a.Groups))
	}
	if len(a.Scopes) > 0 {
		set(ScopesHeader, encodeList(a.Scopes))
	}
}

func encodeList(values []string) string {
	if len(values) == 1 {
		return EncodeHeader(values[0])
	}
	size := 0
	for _, v := range values {
		size += len(v) + 1
	}
	var b strings.Builder
	b.Grow(size)
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(EncodeHeader(v))
	}
	return b.String()
}

// EncodeHeader makes one header value of s that no parser splits or ends
// early: bytes that are not visible ASCII, and the marks % , ; " \ become %XX.
// url.PathUnescape gives s back.
func EncodeHeader(s string) string {
	odd := 0
	for i := range len(s) {
		if !plain(s[i]) {
			odd++
		}
	}
	if odd == 0 {
		return s
	}
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+2*odd)
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

func plain(c byte) bool {
	return c > ' ' && c < 0x7f && c != '%' && c != ',' && c != ';' && c != '"' && c != '\\'
}

// SameHeader reports whether some server or framework takes two names of headers for one: by case, and by what stands
// between letters and digits.
func SameHeader(a, b string) bool { return headers.Same(a, b) }
