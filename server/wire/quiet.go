package wire

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"userkeys"
	"userkeys/notify"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/site"
)

// quiet keeps pushes from the user for a while.
func (h *Handlers) quiet(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	fields, err := input.ReadFields(w, r)
	if err != nil {
		return err
	}
	until, err := parseQuiet(fields, h.door.Now())
	if err != nil {
		return err
	}
	if err := h.cfg.Inbox.Quiet(r.Context(), c.User.ID, until); err != nil {
		return err
	}
	return door.WriteJSON(w, map[string]string{"ends_at": notify.WireTime(until)})
}

const (
	maxQuietMinutes = 7 * 24 * 60
	wakeHour        = 8 // of the day after, in UTC: what "tomorrow" means
)

// parseQuiet reads the duration, minutes or the word tomorrow, as a time.
func parseQuiet(fields url.Values, now time.Time) (time.Time, error) {
	text := fields.Get("duration")
	switch text {
	case "":
		return time.Time{}, userkeys.Errorf(userkeys.MissingParameter, "duration is missing: minutes, or tomorrow")
	case "tomorrow":
		day := now.UTC().AddDate(0, 0, 1)
		return time.Date(day.Year(), day.Month(), day.Day(), wakeHour, 0, 0, 0, time.UTC), nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxQuietMinutes || strconv.Itoa(n) != text {
		return time.Time{}, userkeys.Errorf(userkeys.InvalidParameters,
			"duration must be minutes from 1 to %d, or tomorrow", maxQuietMinutes)
	}
	return now.Add(time.Duration(n) * time.Minute), nil
}

// endQuiet ends it, if it was set.
func (h *Handlers) endQuiet(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	if err := h.cfg.Inbox.Quiet(r.Context(), c.User.ID, time.Time{}); err != nil {
		return err
	}
	return door.Success(w)
}
