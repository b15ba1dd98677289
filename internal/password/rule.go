package password

import (
	_ "embed"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"userkeys"
	"userkeys/site"
)

const (
	minLength = 10 // characters
	maxBytes  = 256
)

func invalid(format string, args ...any) error {
	return userkeys.Errorf(userkeys.InvalidParameters, format, args...)
}

// fold is text without what makes one password look like two.
func fold(text string) string {
	return norm.NFC.String(strings.ToLower(strings.TrimSpace(norm.NFC.String(text))))
}

//go:embed common_passwords.txt
var common string

// Check refuses what whoever guesses tries first. It is the rule for
// what people choose on a page; an administrator at the command line may set
// another and is warned.
func Check(password string, u site.User) error {
	if err := CheckText(password); err != nil {
		return err
	}
	folded := fold(password)
	switch {
	case utf8.RuneCountInString(norm.NFC.String(password)) < minLength:
		return invalid("the password is too short: it needs at least %d characters", minLength)
	case folded != "" && slices.Contains([]string{fold(u.Username), fold(u.Email), fold(u.Name)}, folded):
		return invalid("the password must not be the user name, the full name or the e-mail address")
	case isCommon(folded):
		return invalid("this password is among the first that anybody would guess; choose another")
	}
	return nil
}

// CheckText refuses what can be no password at all.
func CheckText(password string) error {
	switch {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return invalid("the password is no text")
	case password == "":
		return invalid("the password is empty")
	case len(norm.NFC.String(firstBytes(password, 4*maxBytes))) > maxBytes:
		return invalid("the password is too long: it may have at most %d bytes", maxBytes)
	}
	return nil
}

func isCommon(folded string) bool {
	if len(folded) > 0 && strings.Trim(folded, folded[:1]) == "" {
		return true // one character again and again
	}
	for line := range strings.Lines(common) {
		if strings.TrimSpace(line) == folded {
			return true
		}
	}
	return false
}
