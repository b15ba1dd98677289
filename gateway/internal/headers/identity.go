package headers

import (
	"net/http"
	"slices"
	"strings"

	"userkeys"
)

// Identity is a header in which a website learns who calls in its own words, beside those that every website gets.
type Identity struct {
	Name string // such as Remote-User
	// Value is what it tells: username; external-id, by which the provider that signs the user in names them; email;
	// groups, separated by commas; or name, the full one.
	Value string
	// Encoding is how it is written: percent, as [Encode] does, also if it is empty; or utf8, as it is.
	Encoding string
}

// The values and encodings of an [Identity].
const (
	username   = "username"
	externalID = "external-id"
	email      = "email"
	groups     = "groups"
	fullName   = "name"

	percent   = "percent"
	plainUTF8 = "utf8"
)

var identityValues = []string{username, externalID, email, groups, fullName}

// CheckIdentities reports what is wrong with the identity headers of a site.
//
// Errors: [userkeys.InvalidParameters].
func CheckIdentities(list []Identity) error {
	for i, h := range list {
		switch {
		case !mayTell(h.Name):
			return userkeys.Errorf(userkeys.InvalidParameters, "%q cannot be an identity header: it is one that tells a "+
				"website who calls, such as Remote-User, and that clients and servers use for nothing else", h.Name)
		case !slices.Contains(identityValues, h.Value):
			return userkeys.Errorf(userkeys.InvalidParameters,
				"the value of %s is username, external-id, email, groups or name, not %q", h.Name, h.Value)
		case h.Encoding != "" && h.Encoding != percent && h.Encoding != plainUTF8:
			return userkeys.Errorf(userkeys.InvalidParameters,
				"the encoding of %s is percent or utf8, not %q", h.Name, h.Encoding)
		}
		for _, other := range list[:i] {
			if Same(h.Name, other.Name) {
				return userkeys.Errorf(userkeys.InvalidParameters, "two identity headers are called %s", h.Name)
			}
		}
	}
	return nil
}

// NeedProfiles reports whether some header tells what is known of users only if it is asked for: see authority.Config.
func NeedProfiles(list []Identity) bool {
	for _, h := range list {
		if h.Value == email || h.Value == fullName {
			return true
		}
	}
	return false
}

// Canonical returns list with its names in the one spelling of [http.Header].
func Canonical(list []Identity) []Identity {
	list = slices.Clone(list)
	for i := range list {
		list[i].Name = http.CanonicalHeaderKey(list[i].Name)
	}
	return list
}

// NamesOf returns the names of the headers in list.
func NamesOf(list []Identity) []string {
	var names []string
	for _, h := range list {
		names = append(names, h.Name)
	}
	return names
}

// Of returns what h tells of a; empty: nothing, and the header is not sent.
func (h Identity) Of(a userkeys.Access) string {
	switch {
	case h.Value == username:
		return h.encode(a.Username)
	case h.Value == externalID:
		return h.encode(a.ExternalID)
	case a.Standing == nil:
		return ""
	case h.Value == email:
		return h.encode(a.Email)
	case h.Value == fullName:
		return h.encode(a.Name)
	case h.Encoding != plainUTF8:
		return EncodeList(a.Groups)
	}
	var names []string
	for _, g := range a.Groups {
		if g = h.encode(g); g != "" && !strings.Contains(g, ",") { // one group must not be two others
			names = append(names, g)
		}
	}
	return strings.Join(names, ",")
}

// encode writes a value. What could end the line, or what programs would read as another value because they cut spaces
// off, is left out: nobody is better than somebody else.
func (h Identity) encode(s string) string {
	switch {
	case h.Encoding != plainUTF8:
		return Encode(s)
	case !userkeys.IsText(s) || strings.TrimSpace(s) != s:
		return ""
	}
	return s
}

// EncodeList makes one header value of a list, with commas between.
func EncodeList(values []string) string {
	if len(values) == 1 {
		return Encode(values[0])
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
		b.WriteString(Encode(v))
	}
	return b.String()
}

// Encode makes one header value of s that no parser splits or ends
// early: bytes that are not visible ASCII, and the marks % , ; " \ become %XX.
// url.PathUnescape gives s back.
func Encode(s string) string {
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
