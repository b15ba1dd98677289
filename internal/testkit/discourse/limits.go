package discourse

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// windows are sliding windows by name: the seconds of the calls that were let
// through, oldest first. A refused call is not written down.
type windows map[string][]int64

// A limit is how many calls a window of seconds takes, and the code under which it refuses.
type limit struct {
	name    string
	most    int
	seconds int64
	code    string
}

// wait is how many seconds a call must wait; 0 if there is room now.
func (w windows) wait(l limit, now time.Time) int64 {
	if l.most <= 0 {
		return l.seconds
	}
	stamps := w[l.name]
	if len(stamps) < l.most {
		return 0
	}
	return max(0, l.seconds-(now.Unix()-stamps[0]))
}

// push writes a call down.
func (w windows) push(l limit, now time.Time) {
	stamps := append(w[l.name], now.Unix())
	w[l.name] = stamps[max(0, len(stamps)-max(l.most, 0)):]
}

// charge lets a call through and writes it down, or refuses it.
func (w windows) charge(l limit, now time.Time) *failure {
	if wait := w.wait(l, now); wait > 0 {
		return tooMany(l, wait)
	}
	w.push(l, now)
	return nil
}

// chargeAll charges limits in their order, up to the first that refuses; what
// came before stays charged.
func (w windows) chargeAll(now time.Time, limits ...limit) *failure {
	for _, l := range limits {
		if f := w.charge(l, now); f != nil {
			return f
		}
	}
	return nil
}

// tooMany is the application's answer to too many calls: always JSON.
func tooMany(l limit, wait int64) *failure {
	left := humanTime(wait)
	return &failure{
		status: http.StatusTooManyRequests, kind: "rate_limit", alwaysJSON: true, wait: wait, code: l.code,
		text:   "You have done this too many times, wait " + left + " before trying again.",
		extras: map[string]any{"wait_seconds": wait, "time_left": left},
	}
}

func humanTime(seconds int64) string {
	switch {
	case seconds <= 3:
		return "a few seconds"
	case seconds < 60:
		return fmt.Sprintf("%d seconds", seconds)
	case seconds < 3600:
		return fmt.Sprintf("%d minutes", seconds/60)
	}
	return fmt.Sprintf("%d hours", seconds/3600)
}

// The keys' limits: by the minute and by the day, whoever the owner is.
func (s *Site) keyLimits(id string) (minute, day limit) {
	return limit{"user_api_min_" + id, s.number("max_user_api_reqs_per_minute"), 60, "user_api_key_limiter_60_secs"},
		limit{"user_api_day_" + id, s.number("max_user_api_reqs_per_day"), 86400, "user_api_key_limiter_1_day"}
}

// addressLimit is what comes before everything else: calls per address,
// refused ones counted too, unless somebody is signed in.
func (s *Site) addressLimit(c *call) (answer, bool) {
	if c.cookieUser() != nil {
		return answer{}, false
	}
	for _, l := range []limit{
		{"ip_10_" + c.address(), s.number("max_reqs_per_ip_per_10_seconds"), 10, "ip_10_secs_limit"},
		{"ip_60_" + c.address(), s.number("max_reqs_per_ip_per_minute"), 60, "ip_60_secs_limit"},
	} {
		if l.most <= 0 {
			continue
		}
		wait := s.limits.wait(l, c.now)
		s.limits.push(l, c.now)
		if wait > 0 {
			c.limited = true
			a := text(http.StatusTooManyRequests, fmt.Sprintf("Too many requests from this address: slow down.\n"+
				"Try again in %d seconds.\nError code: %s.\n", wait, l.code))
			a.header.Set("Retry-After", strconv.FormatInt(wait, 10))
			a.header.Set("Discourse-Rate-Limit-Error-Code", l.code)
			return a, true
		}
	}
	return answer{}, false
}
