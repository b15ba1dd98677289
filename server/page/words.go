package page

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"userkeys"
)

// ShownName is text that an app supplied, as a page shows it: without
// characters that turn, hide or join what stands around them, and with at most
// two marks on a letter. Pages put it into a bdi element besides.
func ShownName(s string) string {
	s = strings.ReplaceAll(userkeys.Printable(s), string(unicode.ReplacementChar), "")
	name := strings.Join(strings.Fields(fewMarks(norm.NFC.String(s))), " ")
	if name == "" {
		return "an app without a name"
	}
	return cutRunes(name, 200)
}

// fewMarks leaves at most two marks on each letter, so that none reach into other lines.
func fewMarks(s string) string {
	marks := 0
	return strings.Map(func(r rune) rune {
		if !unicode.In(r, unicode.Mn, unicode.Me) {
			marks = 0
			return r
		}
		if marks++; marks > 2 {
			return -1
		}
		return r
	}, s)
}

// ShownText is a value that an app supplied, in a line of details.
func ShownText(s string) string { return cutRunes(userkeys.Printable(s), 300) }

func cutRunes(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n]) + "..."
}

// Sentence makes the public text of an error one for a page: a capital first,
// a full stop last, but none after an address, where somebody would copy it along.
func Sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	// public_key is a name, https://a.example an address: both keep their case
	if first, _, _ := strings.Cut(s, " "); !strings.ContainsAny(first, "_/") {
		r, n := utf8.DecodeRuneInString(s)
		s = string(unicode.ToUpper(r)) + s[n:]
	}
	if last := s[strings.LastIndexByte(s, ' ')+1:]; strings.ContainsAny(s[len(s)-1:], ".!?") ||
		strings.Contains(last, "://") {
		return s
	}
	return s + "."
}

// Moment is a time as a page shows it; its zero value is no time.
type Moment struct {
	ISO      string // for machines
	Absolute string // 2 Nov 2026, 15:04 UTC
	Day      string // 2 Nov 2026
	Relative string // 3 days ago, in 2 hours
}

// MomentAt is t as a page shows it at a time.
func MomentAt(t, now time.Time) Moment {
	if t.IsZero() {
		return Moment{}
	}
	t = t.UTC()
	return Moment{
		ISO: t.Format(time.RFC3339), Absolute: t.Format("2 Jan 2006, 15:04 MST"), Day: t.Format("2 Jan 2006"),
		Relative: relative(t, now),
	}
}

// Known tells whether there is a time to show.
func (m Moment) Known() bool { return m.ISO != "" }

func relative(t, now time.Time) string {
	d := now.Sub(t)
	if d.Abs() < time.Minute {
		if d < 0 {
			return "in a moment"
		}
		return "just now"
	}
	if d < 0 {
		return "in " + roughly(-d)
	}
	return roughly(d) + " ago"
}

// Day is 24 hours.
const Day = 24 * time.Hour

// roughly says a duration of at least a minute in one unit, rounded down.
func roughly(d time.Duration) string {
	switch {
	case d < time.Hour:
		return Count(int(d/time.Minute), "minute")
	case d < Day:
		return Count(int(d/time.Hour), "hour")
	case d < 60*Day:
		return Count(int(d/Day), "day")
	case d < 730*Day:
		return Count(int(d/(30*Day)), "month")
	}
	return Count(int(d/(365*Day)), "year")
}

// number writes a number in groups of three digits: 128,204.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var groups []string
	for len(digits) > 3 && digits[len(digits)-4] != '-' {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, groups...), ",")
}

// Lifetime says a duration in the largest unit that says it exactly.
func Lifetime(d time.Duration) string {
	units := []struct {
		size time.Duration
		name string
	}{{Day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}}
	for _, u := range units {
		if d >= u.size && d%u.size == 0 {
			return Count(int(d/u.size), u.name)
		}
	}
	return Count(int(d/time.Second), "second")
}

// Waiting says how long somebody has to wait, rounded up to at least a second.
func Waiting(d time.Duration) string {
	switch {
	case d <= 90*time.Second:
		return Count(int((d+time.Second-1)/time.Second), "second")
	case d <= 90*time.Minute:
		return Count(int((d+time.Minute-1)/time.Minute), "minute")
	}
	return Count(int((d+time.Hour-1)/time.Hour), "hour")
}

// Count says a number of something: 1 day, 2 days.
func Count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// ShownHost is the host of an address, for people; the address itself if it has none.
func ShownHost(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ShownText(address)
	}
	return ShownText(u.Host)
}
