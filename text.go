package userkeys

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// isText tells whether s is valid UTF-8 without control characters, and so
// the same in every log, page and database.
func isText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return false
		}
	}
	return true
}

// isBlank tells whether s shows nothing: empty, or only spaces of any kind and
// characters without width (Rails calls all but the last blank).
func isBlank(s string) bool {
	return strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Zs) || r == '\ufeff'
	}) == ""
}
