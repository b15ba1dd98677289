package store

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"userkeys/site"

	"userkeys"
)

// Bounds of text. What is unique has a smaller one: an index entry of Postgres
// holds some 2700 bytes, and both databases must refuse alike.
const (
	maxText    = 1 << 16
	maxIndexed = 1024
)

// checkText refuses text that the databases would store differently: Postgres accepts neither NUL nor invalid UTF-8,
// and SQLite accepts both.
func checkText(values ...string) error { return checkTextTo(maxText, values...) }

// checkIndexed is checkText for columns with an index.
func checkIndexed(values ...string) error { return checkTextTo(maxIndexed, values...) }

// checkCaller is checkText for what the audit log stores about a caller.
func checkCaller(by site.Caller) error { return checkText(string(by.Kind()), by.Address) }

func checkTextTo(limit int, values ...string) error {
	for _, v := range values {
		switch {
		case len(v) > limit:
			return userkeys.Errorf(userkeys.InvalidParameters, "a text is longer than %d bytes", limit)
		case !userkeys.IsStorable(v):
			return userkeys.Errorf(userkeys.InvalidParameters, "a text is not valid UTF-8, or contains a NUL character")
		}
	}
	return nil
}

// Lists are kept as one text. An element that is empty or holds the separator
// would come back as something else and is refused.
const (
	scopeSeparator = ","
	groupSeparator = "|"
)

func checkList(list []string, separator string) error {
	for _, v := range list {
		if v == "" || strings.Contains(v, separator) {
			return userkeys.Errorf(userkeys.InvalidParameters, "%q cannot be in a list", v)
		}
	}
	return checkText(strings.Join(list, separator))
}

func splitList(s, separator string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, separator)
}

// A time is microseconds since 1970 UTC; 0 is the zero time, never. Times
// before 1970 are none of ours, and what lies past the year 9999 is kept as
// its end: the count would wrap around and a key without end would be dead.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	if t.Year() > 9999 {
		return lastMicro
	}
	return t.UnixMicro()
}

var lastMicro = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC).UnixMicro()

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// cut returns t as it comes back from the database.
func cut(t time.Time) time.Time { return fromMicros(micros(t)) }

// A flag is 0 or 1: the databases have no common boolean.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// blob returns b as an argument; nil is NULL.
func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// foldCase returns s in the form in which names and e-mail addresses are compared: ASCII letters without case, all
// else byte for byte. Folding more characters would make U+212A equal to the letter k, and differently on each
// database.
func foldCase(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// secretHash returns what is stored of an id that is a secret.
func secretHash(id string) []byte {
	h := sha256.Sum256([]byte(id))
	return h[:]
}

func keyHash(b []byte) userkeys.KeyHash {
	var h userkeys.KeyHash
	copy(h[:], b)
	return h
}

// unique returns ids sorted and without repeats: rows are locked in one order everywhere.
func unique(ids []int64) []int64 {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}
