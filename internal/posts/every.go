package posts

import (
	"time"

	"userkeys"
)

// Every is how often a post is repeated: "daily", "weekly" or a duration such as "36h". Empty: never.
type Every string

// The repetitions that keep the time of the day when clocks change.
const (
	Daily  Every = "daily"
	Weekly Every = "weekly"
)

// Bounds of a repetition.
const (
	minEvery = time.Minute
	maxEvery = 10 * 366 * 24 * time.Hour
)

// ParseEvery reads what a person typed.
func ParseEvery(s string) (Every, error) {
	e := Every(s)
	if s == "" || e.days() > 0 {
		return e, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < minEvery || d > maxEvery {
		return "", userkeys.Errorf(userkeys.InvalidParameters,
			"%q is no repetition; give daily, weekly, or a duration of at least a minute such as 36h", s)
	}
	return Every(d.String()), nil
}

func (e Every) days() int { return map[Every]int{Daily: 1, Weekly: 7}[e] }

// next is the first time after after that first and e lead to. What was missed is not made up for.
func (e Every) next(first, after time.Time, loc *time.Location) time.Time {
	if days := e.days(); days > 0 {
		first = first.In(loc)
		// Counted from the first time always: a day without that time of the day must not move the rest.
		n := max(0, int((after.Unix()-first.Unix())/(24*60*60))/days-1)
		for ; ; n++ {
			if at := first.AddDate(0, 0, n*days); at.After(after) {
				return at
			}
		}
	}
	d, err := time.ParseDuration(string(e))
	if err != nil || d < minEvery {
		d = 24 * time.Hour // a file that somebody changed: often enough, and no flood
	}
	if at := first.Add((max(0, after.Sub(first))/d + 1) * d); at.After(after) {
		return at
	}
	return after.Add(d) // centuries have overflown
}
