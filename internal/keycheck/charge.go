package keycheck

import (
	"strconv"
	"time"

	"userkeys"
	"userkeys/internal/limit"
	"userkeys/site"
)

// charge charges one request to the windows of the key and, unless the site has no such limit, to the windows that
// all keys of its owner share: to both or to neither. So having many keys, or making new ones, does not get around
// the limits. byUser reports that the windows of the owner refuse it.
//
// The windows of owners are in memory only. After a restart they begin anew, while the day of each single key was
// saved and continues.
func (ck *Checker) charge(f *found, p *policy) (d limit.Decision, byUser bool) {
	if p.userLimits == (limit.Limits{}) {
		return f.shard.Take(f.account, f.at, p.limits), false
	}
	r := &f.account.Data
	user := limit.Other{Memory: ck.users, ID: r.userID, Limits: p.userLimits, Number: r.user}
	d, byUser = f.shard.TakeBoth(f.account, f.at, p.limits, &user)
	r.user = user.Number
	return d, byUser
}

// userLimits returns the limits of all keys of a user together, or zero limits if there are none. If only one of the
// two limits is set, the other is the greatest that can be counted.
func userLimits(s site.Settings) limit.Limits {
	l := limit.Limits{Minute: s.MaxUserAPIReqsPerUserPerMinute, Day: s.MaxUserAPIReqsPerUserPerDay}
	if l == (limit.Limits{}) {
		return l
	}
	if l.Minute <= 0 {
		l.Minute = limit.MaxMinute
	}
	if l.Day <= 0 {
		l.Day = limit.MaxDay
	}
	return l
}

// limitNames is how an error names the limits of one key, or those of all keys of a user.
type limitNames struct {
	code  string // what the code of the wire (W13.1) begins with; the window follows
	whose string // what the reason, which is for logs, ends with
	said  string // the first sentence of what people read
}

var (
	keyLimitNames   = limitNames{"user_api_key_limiter", "", "This key was used too many times."}
	ownerLimitNames = limitNames{
		"user_api_user_limiter", " for all keys of this user", "The keys of this user were used too many times.",
	}
)

// exceeded returns the error for a window that is full.
func (ln limitNames) exceeded(d limit.Decision, l limit.Limits) error {
	n, window := l.Minute, "_60_secs"
	if d.Window == limit.Day {
		n, window = l.Day, "_1_day"
	}
	// The step that the day rounds up to is left out: clients take more than 86400 seconds for a mistake and ask early.
	e := RateLimited(ln.said, n, d.Window.Length(), min(d.RetryAfter, d.Window.Length()))
	e.LimitCode = ln.code + window
	e.Reason += ln.whose
	return e
}

// RateLimited returns the error for something that was done more than most times in a window, and may be done again
// after wait. said is the sentence that tells people what was done too often.
func RateLimited(said string, most int, window, wait time.Duration) *userkeys.Error {
	e := &userkeys.Error{
		Code: userkeys.RateLimited, RetryAfter: wait,
		Reason: "limit: " + strconv.Itoa(max(most, 0)) + " per " + strconv.Itoa(int(window/time.Second)) + " s",
	}
	e.Public = said + " Please wait " + e.TimeLeft() + " before trying again."
	return e
}
