package server

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"userkeys"
	"userkeys/site"
)

// quietRoutes are "do not disturb", for a session or a key whose scopes cover them.
func (s *Server) quietRoutes() []route {
	if s.cfg.Inbox == nil || !s.endpoints() {
		return nil
	}
	var all []route
	for _, end := range []string{"", ".json"} {
		all = append(all,
			route{"POST /do-not-disturb" + end, bodied, anyone, "do_not_disturb/create", s.quiet},
			route{"DELETE /do-not-disturb" + end, bodied, anyone, "do_not_disturb/destroy", s.endQuiet})
	}
	return all
}

// quiet keeps pushes from the user for a while.
func (s *Server) quiet(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	who, err := askerOf(r, v)
	if err != nil {
		return err
	}
	fields, err := readFields(w, r)
	if err != nil {
		return err
	}
	until, err := parseQuiet(fields, s.cfg.Now())
	if err != nil {
		return err
	}
	if err := s.cfg.Inbox.Quiet(r.Context(), who.id, until); err != nil {
		return err
	}
	return writeJSON(w, map[string]string{"ends_at": wireTime(until)})
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
		return time.Time{}, userkeys.Errorf(userkeys.InvalidParameters, "duration must be minutes from 1 to %d, or tomorrow", maxQuietMinutes)
	}
	return now.Add(time.Duration(n) * time.Minute), nil
}

// endQuiet ends it, if it was set.
func (s *Server) endQuiet(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	who, err := askerOf(r, v)
	if err != nil {
		return err
	}
	if err := s.cfg.Inbox.Quiet(r.Context(), who.id, time.Time{}); err != nil {
		return err
	}
	return success(w)
}
