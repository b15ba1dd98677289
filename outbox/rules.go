package outbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"userkeys"
	"userkeys/notify"
	"userkeys/site"
)

// How an attempt is repeated: after so long at first, four times as long each time, with a
// jitter, until a day after the first.
const (
	firstRetry    = 5 * time.Second
	longestRetry  = 4 * time.Hour
	retryFor      = 24 * time.Hour
	busyFor       = time.Minute // of a host that is busy and does not say for how long
	missingToGone = 3           // so many 404 in a row count as 410
)

// verdict is what is to be done with a delivery at the moment of sending it.
type verdict struct {
	outcome Outcome   // 0: send it, to keys
	nextAt  time.Time // of PushRetried
	problem Problem   // of PushDied
	keys    []Key
}

// judge decides about a delivery with the rights of now: what a user may no
// longer have is not sent, however long ago it was queued (SS23, SS24, T32).
func judge(p Details, s site.Settings, now time.Time) verdict {
	test := p.Delivery.KeyID != 0
	if !p.User.MayAct() {
		return verdict{outcome: Dropped}
	}
	var keys []Key
	off := false
	for _, k := range p.Keys {
		switch {
		case !k.Live(now) || !s.Pushes(k.Scopes, k.PushURL):
		case !k.Push.OffAt.IsZero() && !test:
			off = true
		default:
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		if off {
			return verdict{outcome: GivenUp, problem: ProblemOff}
		}
		return verdict{outcome: Dropped}
	}
	if extra := len(keys) - userkeys.MaxPushSignatures; extra > 0 { // the newest
		slices.SortFunc(keys, func(a, b Key) int { return cmp.Compare(a.ID, b.ID) })
		keys = keys[extra:]
	}
	if test {
		return verdict{keys: keys}
	}
	if p.Notification.ID == 0 || p.Notification.Read {
		return verdict{outcome: Dropped}
	}
	window := time.Duration(s.PushNotificationTimeWindowMins) * time.Minute
	seen := p.User.LastSeenAt
	if window > 0 && seen.After(p.Delivery.CreatedAt) && now.Before(seen.Add(window)) { // they were here after it was written (W12.2)
		return verdict{outcome: Dropped}
	}
	due := p.QuietUntil
	if window > 0 && !seen.IsZero() && seen.Add(window).After(due) {
		due = seen.Add(window)
	}
	if due.After(now) {
		return verdict{outcome: Retried, nextAt: due}
	}
	return verdict{keys: keys}
}

// pushBody is what is posted (W12.3), with the members of Discourse in its order.
type pushBody struct {
	SecretKey     string         `json:"secret_key,omitempty"`
	URL           string         `json:"url"`
	Title         string         `json:"title"`
	Description   string         `json:"description"`
	Notifications []pushedNotice `json:"notifications"`
}

// pushedNotice is a notification as one client is told it.
type pushedNotice struct {
	notify.AlertPayload
	URL            string `json:"url"`
	ClientID       string `json:"client_id"`
	NotificationID int64  `json:"notification_id,omitempty"`
}

// bodyOf writes the body of a delivery to keys: an element for each client.
func bodyOf(p Details, keys []Key, s site.Settings, base *url.URL) ([]byte, error) {
	b := pushBody{URL: siteURL(base), Title: s.Title, Description: s.SiteDescription}
	if s.DiscoursePushSecret {
		b.SecretKey = s.PushAPISecretKey
	}
	notice := pushedNotice{NotificationID: p.Notification.ID}
	if p.Delivery.KeyID != 0 {
		notice.AlertPayload = testAlert(s.Title)
	} else {
		notice.AlertPayload = notify.Alert(p.Notification, siteURL(base))
	}
	notice.URL = absolute(base, notice.PostURL)
	notice.PostURL = ""
	for _, k := range keys {
		notice.ClientID = k.ClientID
		b.Notifications = append(b.Notifications, notice)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(b)
	return bytes.TrimRight(out.Bytes(), "\n"), err
}

// testAlert is what a test says.
func testAlert(title string) notify.AlertPayload {
	return notify.AlertPayload{Type: site.NotificationCustom, TopicTitle: "Test notification", Excerpt: "Notifications of " + title + " arrive here.", PostURL: "/"}
}

func siteURL(base *url.URL) string { return (&url.URL{Scheme: base.Scheme, Host: base.Host}).String() }

// absolute makes a link of a path of this site; what is an address already stays.
func absolute(base *url.URL, link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return siteURL(base)
	}
	return base.ResolveReference(u).String()
}

// webhookID names a delivery to its receiver: the same at each attempt, and never again
// for another, also after a backup was restored.
func webhookID(d Delivery) string {
	return "push_" + strconv.FormatInt(d.ID, 36) + "_" + strconv.FormatInt(d.CreatedAt.UnixMicro(), 36)
}

// answered says what becomes of an attempt by the answer's status. attempt is how many were made with this one.
func answered(r *Result, status int, retryAfter time.Duration, attempt int, queued time.Time) {
	r.Problem = Problem("status " + strconv.Itoa(status))
	switch {
	case 200 <= status && status <= 299:
		r.Outcome, r.Problem = Delivered, ""
		return
	case status == http.StatusGone, status == http.StatusNotFound && attempt >= missingToGone:
		r.Outcome, r.Problem, r.Off = GivenUp, ProblemGone, true
		return
	case status == http.StatusMovedPermanently, status == http.StatusPermanentRedirect:
		r.Outcome, r.Problem, r.Off = GivenUp, ProblemMoved, true
		return
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && retryAfter > 0:
		if retryAfter <= 0 {
			retryAfter = busyFor
		}
		r.Problem, r.CloseUntil = ProblemBusy, r.At.Add(min(retryAfter, retryFor))
	}
	again(r, attempt, queued)
	if r.Outcome == Retried && r.CloseUntil.After(r.NextAt) {
		r.NextAt = r.CloseUntil
	}
}

// again plans the next attempt; after a day there is none, and pushing to the keys is switched off.
func again(r *Result, attempt int, queued time.Time) {
	end := queued.Add(retryFor)
	if !r.At.Before(end) {
		r.Outcome, r.Off = GivenUp, true
		return
	}
	r.Outcome, r.NextAt = Retried, r.At.Add(backoff(attempt))
	if r.NextAt.After(end) {
		r.NextAt = end // once more at the very end
	}
}

// backoff is how long to wait after so many attempts: at least half of what it is at most.
func backoff(attempt int) time.Duration {
	d := firstRetry
	for i := 1; i < attempt && d < longestRetry; i++ {
		d *= 4
	}
	d = min(d, longestRetry)
	return d/2 + rand.N(d/2)
}

// retryAfter reads a Retry-After header, seconds or a date; 0 for none that can be read.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n < 1<<31 {
		return min(time.Duration(n)*time.Second, retryFor)
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// keyIDs of keys.
func keyIDs(keys []Key) []int64 {
	ids := make([]int64, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	slices.Sort(ids)
	return ids
}
