package userkeys

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsText reports whether s is one line of text: valid UTF-8 without control
// characters, and so the same in every log, page and database.
func IsText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) || isLineSeparator(r) {
			return false
		}
	}
	return true
}

// IsStorable is the rule for text that may have lines, such as a PEM block:
// valid UTF-8 without NUL. Of everything else the databases would each keep something else.
func IsStorable(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// Printable is foreign text as a terminal, log or page may show it: what
// steers, turns, joins or hides what stands around it becomes U+FFFD, each
// character one. A name that is not its own Printable form deceives somebody.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || isInvisible(r) && !unicode.Is(unicode.Zs, r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// IsBlank reports whether s shows nothing: it is empty, or has only spaces of any kind and
// characters that have no look of their own. Rails calls only spaces blank; a
// nonce or a name that nobody can see helps nobody but a deceiver.
func IsBlank(s string) bool {
	return strings.TrimFunc(s, isInvisible) == ""
}

func isInvisible(r rune) bool {
	const brailleBlank = '\u2800'
	return unicode.IsSpace(r) || r == brailleBlank ||
		unicode.In(r, unicode.Cf, unicode.Zs, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func isLineSeparator(r rune) bool { return r == '\u2028' || r == '\u2029' }

// isSpaces reports whether s is empty or spaces: the wire's blank, for optional
// parameters where anything more must be read or refused, never ignored.
func isSpaces(s string) bool { return strings.TrimSpace(s) == "" }

// Quoted returns foreign text as an error message may carry it: between quotes, in ASCII, if it is
// anything but a plain word, and cut after 100 bytes. Nothing in it can bend the line, page or terminal that shows it.
func Quoted(s string) string {
	const most = 100
	s = Shorten(s, most)
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/?=+") == "" {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// Shorten returns s if it has at most n bytes, else as many whole characters of it as fit into n bytes, and "...".
func Shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}
