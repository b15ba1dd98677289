package store

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"userkeys/site"
)

// liveKey is the condition of keys (k) that are neither revoked nor expired at $1, the time.
const liveKey = "k.revoked_at = 0 AND (k.expires_at = 0 OR k.expires_at > $1)"

// Orders of a user's apps. Each ends with the id, so that no app is on two pages or on none.
const (
	newestFirst   = "k.id DESC"
	longestUnused = "COALESCE(w.last_used_at, k.created_at), k.id"
	lastEnded     = "CASE WHEN k.revoked_at <> 0 THEN k.revoked_at ELSE k.expires_at END DESC, k.id DESC"
)

func scanApp(r row) (site.App, error) {
	var a site.App
	var c columns
	c.key(&a.UserAPIKey)
	c.dest = append(c.dest, &a.Destination, &a.ApprovedWith)
	return a, c.scan(r)
}

// scanCounts scans two counts.
func scanCounts(r row) ([2]int64, error) {
	var n [2]int64
	err := r.Scan(&n[0], &n[1])
	return n, err
}

// Apps returns a page of a user's apps.
func (s *Store) Apps(ctx context.Context, f site.AppFilter) (site.AppList, error) {
	if err := checkIndexed(f.Text); err != nil {
		return site.AppList{}, err
	}
	w, tables := appConditions(f), " FROM userkeys_keys k"
	if !f.UnusedSince.IsZero() || f.LongestFirst {
		tables += " LEFT JOIN userkeys_key_uses w ON w.key_id = k.id"
	}
	order := newestFirst
	switch {
	case f.Ended:
		order = lastEnded
	case f.LongestFirst:
		order = longestUnused
	}
	limit := cmp.Or(f.Limit, site.AppsPerPage)
	return read(ctx, s, func(c conn) (site.AppList, error) {
		counts, err := one(c, scanCounts, `SELECT COUNT(*), COUNT(CASE WHEN `+liveKey+` THEN 1 END)
			FROM userkeys_keys k WHERE k.user_id = $2`, micros(f.Now), f.UserID)
		if err != nil {
			return site.AppList{}, err
		}
		l := site.AppList{Live: counts[1], Ended: counts[0] - counts[1]}
		l.Found, err = one(c, scanInt, "SELECT COUNT(*)"+tables+w.where(), w.args...)
		if err != nil {
			return l, err
		}
		l.Pages = max(1, (int(l.Found)+limit-1)/limit)
		l.Page = min(max(1, f.Page), l.Pages)
		// The rows of the other tables are looked up for this page only.
		l.Apps, err = all(c, scanApp, "SELECT "+keyColumns+", k.destination, k.approved_with"+keyTables+
			" WHERE k.id IN (SELECT k.id"+tables+w.where()+" ORDER BY "+order+
			" LIMIT "+strconv.Itoa(limit)+" OFFSET "+strconv.Itoa((l.Page-1)*limit)+") ORDER BY "+order, w.args...)
		return l, err
	})
}

// appConditions is the WHERE of f. Its first argument is the time.
func appConditions(f site.AppFilter) conditions {
	w := conditions{args: []any{micros(f.Now)}, parts: []string{liveKey}}
	if f.Ended {
		w.parts[0] = "NOT (" + liveKey + ")"
	}
	w.add("k.user_id = $?", f.UserID)
	if f.KeyID != 0 {
		w.add("k.id = $?", f.KeyID)
	}
	if !f.UnusedSince.IsZero() {
		w.add("COALESCE(w.last_used_at, k.created_at) <= $?", micros(f.UnusedSince))
	}
	if f.Text != "" {
		w.addSearch("k.application_name || ' ' || k.destination || ' ' || k.approved_with", f.Text)
	}
	return w
}

// addSearch appends the condition that a column contains text, whatever the case of letters. The databases know the
// case of ASCII only; of other letters they are asked for the spellings that names have: all small, all capital, or
// the first of each word.
func (w *conditions) addSearch(column, text string) {
	var alternatives []string
	for _, spelling := range []string{strings.ToLower(text), strings.ToUpper(text), capitals(text)} {
		pattern := "%" + strings.NewReplacer("~", "~~", "%", "~%", "_", "~_").Replace(lowerASCII(spelling)) + "%"
		w.args = append(w.args, pattern)
		alternatives = append(alternatives, "LOWER("+column+") LIKE $"+strconv.Itoa(len(w.args))+" ESCAPE '~'")
	}
	w.parts = append(w.parts, "("+strings.Join(alternatives, " OR ")+")")
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// capitals begins each word of s with a capital, and has the rest in small letters.
func capitals(s string) string {
	words := strings.Fields(strings.ToLower(s))
	for i, word := range words {
		for j := range word {
			if j > 0 {
				words[i] = strings.ToUpper(word[:j]) + word[j:]
				break
			}
		}
	}
	return strings.Join(words, " ")
}

// A visit lasts until nothing was looked at for visitGap. It is written at most every visitStep.
const (
	visitGap  = 30 * time.Minute
	visitStep = time.Minute
)

// VisitApps notes that a user looks at their apps, and returns when the visit before ended; the zero time: there was
// none.
func (s *Store) VisitApps(ctx context.Context, userID int64, at time.Time) (time.Time, error) {
	visits, err := read(ctx, s, func(c conn) ([][2]int64, error) {
		return all(c, scanCounts, "SELECT last_at, before_at FROM userkeys_app_visits WHERE user_id = $1", userID)
	})
	if err != nil {
		return time.Time{}, err
	}
	var last, before int64
	if len(visits) > 0 {
		last, before = visits[0][0], visits[0][1]
	}
	gone := micros(at) - last
	if gone < visitStep.Microseconds() {
		return fromMicros(before), nil
	}
	if gone >= visitGap.Microseconds() {
		before = last
	}
	err = s.write(ctx, func(c conn) error {
		_, err := c.exec(`INSERT INTO userkeys_app_visits (user_id, last_at, before_at)
			SELECT id, $2, $3 FROM userkeys_users WHERE id = $1`+s.diff.keepRow+`
			ON CONFLICT (user_id) DO UPDATE SET last_at = excluded.last_at, before_at = excluded.before_at`,
			userID, micros(at), before)
		return err
	})
	return fromMicros(before), err
}
