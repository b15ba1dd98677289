package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"

	"userkeys/client"
)

// A person is the owner of a key, as a site tells it to the key.
type person struct {
	Username   string `json:"username"`
	TrustLevel *int   `json:"trust_level"` // nil: the site does not say
	Admin      bool   `json:"admin"`
	Moderator  bool   `json:"moderator"`
}

// lookAtTrust says what is known of who may give keys: of others than the key's owner, most often
// nothing before they are signed in.
func (e *examination) lookAtTrust(context.Context) {
	who, advice := cmp.Or(e.owner.Username, "the owner of the stored key"), e.trustAdvice()
	switch {
	case e.trustErr != nil:
		e.find(CheckTrust, Problem, "the site does not let everybody give keys (no_trust_level)").advise(advice)
	case e.closed:
		e.find(CheckTrust, Skipped, gaveNoKeys)
	case e.owner.Admin || e.owner.Moderator:
		e.find(CheckTrust, OK, "%s is staff there, and staff may always give keys", who)
	case e.owner.TrustLevel != nil:
		e.find(CheckTrust, Skipped, "%s has trust level %d there; whether that is still enough for a new key the site "+
			"tells only on its page", who, *e.owner.TrustLevel).
			advise("if the page says that this is too low, " + advice)
	default:
		e.find(CheckTrust, Skipped, "who may give keys a site tells only to those who are signed in").
			advise("if the page says that the trust level is too low, " + advice)
	}
}

// trustAdvice is the setting to change, with the value that lets the key's owner in where the site told their level.
func (e *examination) trustAdvice() string {
	const groups, level = "user_api_key_allowed_groups", "min_trust_level_for_user_api_key"
	add, lower := "a group or trust level", "lower "+level
	if at := e.owner.TrustLevel; at != nil {
		add, lower = fmt.Sprintf("trust_level_%d", *at), fmt.Sprintf("set %s to %d", level, *at)
	}
	advice := "an administrator can add " + add + " to " + groups
	if !e.userkeysSite() && !e.support.DeviceCode { // an older Discourse, which may have either setting
		advice += ", or " + lower + " where there is no such setting"
	}
	return advice
}

// lookAtLimits says how often a key may be used, and what is left of that as far as the answers told.
func (e *examination) lookAtLimits(context.Context) {
	limits := e.support.Limits()
	says := fmt.Sprintf("%d requests of a key a minute and %d a day", limits.PerMinute, limits.PerDay)
	switch {
	case !e.userkeysSite():
		says = "usually " + says + "; a Discourse does not say"
	case limits.UserPerMinute > 0 || limits.UserPerDay > 0:
		says += fmt.Sprintf(" (of all keys of a person %s and %s)",
			cmp.Or(said("%d", limits.UserPerMinute), "no limit"), cmp.Or(said("%d", limits.UserPerDay), "no limit"))
	}
	used := 0
	for _, h := range e.heard.Hops {
		if h.Resp == nil {
			continue
		}
		switch status := h.Resp.StatusCode; {
		case status == http.StatusTooManyRequests:
			e.limitHit(client.ParseError(status, h.Resp.Header, nil), says)
			return
		case h.Keyed && (status == http.StatusOK || status == http.StatusNotFound): // else it may have cost nothing
			used++
		}
	}
	if used > 0 {
		says += fmt.Sprintf("; at most %d and %d are left to the stored key now, for sites do not tell what it used before",
			max(0, limits.PerMinute-used), max(0, limits.PerDay-used))
	}
	e.find(CheckLimits, OK, "%s; above that the site answers 429 and says in Retry-After how many seconds to wait", says)
}

// limitHit says of what nothing is left, and for how long.
func (e *examination) limitHit(api *client.APIError, says string) {
	wait := "the site does not say how long to wait: a minute is enough for most limits"
	if api.RetryAfter > 0 {
		wait = fmt.Sprintf("wait %v, until %s", api.RetryAfter,
			e.cfg.Now().Add(api.RetryAfter).UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	whose, setting := "for the key", "max_user_api_reqs_per_minute and max_user_api_reqs_per_day (of a Discourse "+
		"DISCOURSE_MAX_USER_API_REQS_PER_MINUTE and _PER_DAY)"
	switch code := api.LimitCode; {
	case strings.HasPrefix(code, "ip_"):
		whose, setting = "for the address of this machine",
			"max_reqs_per_ip_per_minute and max_reqs_per_ip_per_10_seconds (of a Discourse "+
				"DISCOURSE_MAX_REQS_PER_IP_PER_MINUTE and _PER_10_SECONDS)"
	case strings.HasPrefix(code, "user_api_user_limiter"):
		whose, setting = "for all keys of the person together",
			"max_user_api_reqs_per_user_per_minute and max_user_api_reqs_per_user_per_day"
	case !strings.HasPrefix(code, "user_api_key_limiter"):
		whose = "of a limit that the site does not name"
	case api.DayLimit():
		whose += " of the day"
	default:
		whose += " of the minute"
	}
	e.find(CheckLimits, Warning, "nothing is left %s%s: %s", whose, said(" (%s)", api.LimitCode), says).
		advise(wait + "; an administrator can raise " + setting)
}
