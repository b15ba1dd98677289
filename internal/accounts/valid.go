package accounts

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"userkeys"
	"userkeys/site"
)

const (
	maxEmailBytes = 254
	maxNameBytes  = 255
)

// MaxUsername is how many characters a user name may have.
const MaxUsername = 60

// MaxGroups is how many groups a user may be in.
const MaxGroups = 100

var (
	// otherLatin are letters that are no letter from a to z with a mark, and what is read for them.
	otherLatin = strings.NewReplacer("\u00df", "ss", "\u00e6", "ae", "\u00c6", "Ae", "\u0153", "oe", "\u0152", "Oe",
		"\u00f8", "o", "\u00d8", "O", "\u0142", "l", "\u0141", "L", "\u0111", "d", "\u0110", "D", "\u00f0", "d",
		"\u00d0", "D", "\u00fe", "th", "\u00de", "Th", "\u0131", "i", "'", "", "\u2019", "")
	noUsername      = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
	usernamePattern = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,58}[A-Za-z0-9])?$`)
	groupPattern    = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)
	// automaticGroup are the names that [site.User.InGroup] answers by
	// itself: a group of that name would look like a right and be none.
	automaticGroup = regexp.MustCompile(`(?i)^(?:admins|moderators|staff|everyone|trust_level_[0-9]+)$`)
)

func invalid(format string, args ...any) error {
	return userkeys.Errorf(userkeys.InvalidParameters, format, args...)
}

// canonical is the one spelling of what somebody types as their name: guessing
// limits and look-ups use it, so that another spelling is not another account.
func canonical(name string) string {
	name = strings.ToValidUTF8(name[:min(len(name), 1024)], "\ufffd")
	name = strings.TrimSpace(norm.NFC.String(name))
	return norm.NFC.String(strings.ToLower(name))
}

// checkUser brings the fields of u into their stored form, or says what is wrong.
func checkUser(u *site.User) error {
	if !IsUsername(u.Username) {
		return invalid("a user name has 1 to 60 letters (a-z), digits, dots, hyphens and underscores, " +
			"and begins and ends with a letter or digit")
	}
	u.Name = strings.TrimSpace(norm.NFC.String(u.Name))
	if len(u.Name) > maxNameBytes || !IsOneLine(u.Name) {
		return invalid("the full name must be text of at most %d bytes on one line", maxNameBytes)
	}
	if u.Email != "" {
		if !IsEmail(u.Email) {
			return invalid("the e-mail address must have the form name@example.org and at most %d bytes", maxEmailBytes)
		}
		u.Email = canonical(u.Email)
	}
	if u.TrustLevel < 0 || u.TrustLevel > 4 {
		return invalid("a trust level is 0 to 4")
	}
	groups, err := checkGroups(u.Groups)
	u.Groups = groups
	return err
}

// IsUsername reports whether name may be the name of a user here.
func IsUsername(name string) bool { return usernamePattern.MatchString(name) }

// nearUsername is the user name that is most like what somebody is called elsewhere, taken or not; empty where there is
// none, as for a name in other letters than Latin ones.
func nearUsername(name string) string {
	name, _, _ = strings.Cut(strings.TrimLeft(name, "@"), "@") // what stands before the '@' of an address
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(otherLatin.Replace(name)))
	if strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII && unicode.IsLetter(r) }) {
		return ""
	}
	name = strings.Trim(noUsername.ReplaceAllString(name, "-"), "._-")
	return strings.TrimRight(name[:min(len(name), MaxUsername)], "._-")
}

// reserved are user names that people take for the site's own. An administrator can give them.
var reserved = []string{"admin", "administrator", "root", "system", "moderator"}

// IsReserved reports whether people would take name for the site's own.
func IsReserved(name string) bool { return slices.Contains(reserved, strings.ToLower(name)) }

// IsGroup reports whether name may be the name of a group that users are put in.
func IsGroup(name string) bool {
	return groupPattern.MatchString(name) && !automaticGroup.MatchString(name)
}

// IsEmail reports whether s may be the e-mail address of a user. It asks for no more than telling an address from a
// user name and one address from another needs: exactly one '@', so that nobody reads a@evil.example@good.example two
// ways.
func IsEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return len(s) <= maxEmailBytes && ok && local != "" && domain != "" && !strings.Contains(domain, "@") &&
		IsOneLine(s) && !strings.ContainsFunc(s, unicode.IsSpace) && len(canonical(s)) <= maxEmailBytes
}

func checkGroups(groups []string) ([]string, error) {
	var out []string
	for _, g := range groups {
		if !groupPattern.MatchString(g) {
			return nil, invalid("the name of a group has 1 to 100 letters, digits, dots, hyphens and underscores")
		}
		if automaticGroup.MatchString(g) {
			return nil, invalid("the group %s is given by the site itself; "+
				"set the trust level, administrator or moderator instead", g)
		}
		if !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	if len(out) > MaxGroups {
		return nil, invalid("a user is in at most %d groups", MaxGroups)
	}
	return out, nil
}

// IsOneLine reports whether s is one line of text without characters that turn the
// direction of what follows. Joiners may stay: some languages need them in names.
func IsOneLine(s string) bool {
	turns := func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }
	return userkeys.IsText(s) && !strings.ContainsFunc(s, turns)
}
