package outbox

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/site"
)

// This file says why a push is sent, held back, dropped, tried again, given up or switched off. It is pure: the store
// applies it to what a notification and an attempt change, the pusher to what it sends, the pages to what they show.

// HeldUntil returns until when pushes to a user are held back at a moment: while "do not disturb" is on, and for the
// setting push_notification_time_window_mins after the user was last seen. The zero time: they are not held back.
func HeldUntil(s site.Settings, lastSeen, quietUntil, now time.Time) time.Time {
	held := quietUntil
	if window := seenWindow(s); window > 0 && !lastSeen.IsZero() {
		held = later(held, lastSeen.Add(window))
	}
	if !held.After(now) {
		return time.Time{}
	}
	return held
}

func seenWindow(s site.Settings) time.Duration {
	return time.Duration(s.PushNotificationTimeWindowMins) * time.Minute
}

// Held reports whether the delivery is held back until NextAt because its user is active on the site or has
// "do not disturb" on.
func (d Delivery) Held(now time.Time) bool { return d.DeadAt.IsZero() && d.QueuedAt.After(now) }

// decision is what to do with a delivery when it is due.
type decision struct {
	outcome Outcome   // 0: send it, to keys
	nextAt  time.Time // of Retried
	problem Problem   // of GivenUp
	keys    []Key
}

// decide says what to do with a delivery by the rights of this moment: a user who may not have it any more does not
// get it, however long ago it was queued (SS23, SS24, T32).
func decide(d Details, s site.Settings, now time.Time) decision {
	test := d.Delivery.KeyID != 0
	if !d.User.MayAct() || !d.PausesAt.IsZero() && !now.Before(d.PausesAt) {
		return decision{outcome: Dropped}
	}
	keys, off := d.pushedKeys(s, now)
	switch {
	case len(keys) == 0 && off:
		return decision{outcome: GivenUp, problem: ProblemOff}
	case len(keys) == 0:
		return decision{outcome: Dropped}
	case test:
		return decision{keys: keys}
	case d.Notification.ID == 0 || d.Notification.Read:
		return decision{outcome: Dropped}
	}
	held := HeldUntil(s, d.User.LastSeenAt, d.QuietUntil, now)
	window, seen := seenWindow(s), d.User.LastSeenAt
	if window > 0 && seen.After(d.Delivery.CreatedAt) && now.Before(seen.Add(window)) {
		return decision{outcome: Dropped} // they were on the site after it was written, and saw it there (W12.2)
	}
	if !held.IsZero() {
		return decision{outcome: Retried, nextAt: held}
	}
	return decision{keys: keys}
}

// pushedKeys returns the keys that the delivery goes to, the newest [userkeys.MaxPushSignatures] at most, and reports
// whether pushing to others is switched off. A test goes to its key also if pushing to it is off.
func (d Details) pushedKeys(s site.Settings, now time.Time) (keys []Key, off bool) {
	test := d.Delivery.KeyID != 0
	for _, k := range d.Keys {
		switch {
		case !k.Live(now) || !s.Pushes(k.Scopes, k.PushURL):
		case !k.Push.OffAt.IsZero() && !test:
			off = true
		default:
			keys = append(keys, k)
		}
	}
	if extra := len(keys) - userkeys.MaxPushSignatures; extra > 0 {
		slices.SortFunc(keys, func(a, b Key) int { return cmp.Compare(a.ID, b.ID) })
		keys = keys[extra:]
	}
	return keys, off
}

// How an attempt is repeated: after firstRetry, then four times as long each time, with jitter, until retryFor after
// the delivery was queued.
const (
	firstRetry    = 5 * time.Second
	longestRetry  = 4 * time.Hour
	retryFor      = 24 * time.Hour
	busyFor       = time.Minute // for a receiver that is busy and does not say for how long
	missingToGone = 3           // as many times 404 in a row count as 410
	overdueAfter  = retryFor + 10*time.Minute
)

// answered fills in what becomes of an attempt that the receiver answered. attempt counts the attempts with this one.
func (r *Result) answered(status int, retryAfter time.Duration, attempt int, queued time.Time) {
	r.Problem = Problem(statusProblem + strconv.Itoa(status))
	switch {
	case 200 <= status && status <= 299:
		r.Outcome, r.Problem = Delivered, ""
	case status == http.StatusGone, status == http.StatusNotFound && attempt >= missingToGone:
		r.switchOff(ProblemGone)
	case status == http.StatusMovedPermanently, status == http.StatusPermanentRedirect:
		r.switchOff(ProblemMoved)
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && retryAfter > 0:
		if retryAfter <= 0 {
			retryAfter = busyFor
		}
		r.Problem, r.CloseUntil = ProblemBusy, r.At.Add(min(retryAfter, retryFor))
		r.again(attempt, queued)
		if r.Outcome == Retried {
			r.NextAt = later(r.NextAt, r.CloseUntil)
		}
	default:
		r.again(attempt, queued)
	}
}

// switchOff gives the delivery up, and switches pushing to its keys off.
func (r *Result) switchOff(why Problem) { r.Outcome, r.Problem, r.Off = GivenUp, why, true }

// again plans the next attempt. Once retryFor has passed there is none, and pushing to the keys is switched off.
func (r *Result) again(attempt int, queued time.Time) {
	end := queued.Add(retryFor)
	if !r.At.Before(end) {
		r.switchOff(r.Problem)
		return
	}
	r.Outcome, r.NextAt = Retried, r.At.Add(backoff(attempt))
	if r.NextAt.After(end) {
		r.NextAt = end // once more at the very end
	}
}

// unmade plans the delivery anew after an attempt in which no request was made.
func (r *Result) unmade(next time.Time) {
	r.Outcome, r.Unmade, r.NextAt, r.KeyIDs = Retried, true, next, nil
}

// backoff returns how long to wait after that many attempts: a random time between a half and the whole of it.
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

// How long nothing is sent to a push URL or a host that fails: after failuresToClose failures in a row ten seconds,
// then two seconds longer with each.
const (
	failuresToClose = 5
	closedPerFail   = 2 * time.Second
	closedAtMost    = 10 * time.Minute
)

// pauseAfter returns how long nothing is sent after that many failures in a row; 0: sending goes on.
func pauseAfter(failures int) time.Duration {
	if failures < failuresToClose {
		return 0
	}
	return min(time.Duration(min(failures, 1000))*closedPerFail, closedAtMost)
}

// Note adds the result of an attempt to the state of its push URL. Results must come in the order of their times.
func (a *Address) Note(r Result) {
	if r.Unmade {
		return
	}
	if r.Outcome == Delivered {
		a.Failures, a.ClosedUntil, a.DeliveredAt = 0, time.Time{}, r.At
		a.Delivered++
		return
	}
	a.Failures++
	a.Failed++
	a.FailedAt, a.Problem = r.At, r.Problem
	if pause := pauseAfter(a.Failures); pause > 0 {
		a.ClosedUntil = r.At.Add(pause)
	}
	// One user's limit must not stop all others for a day: the delivery waits as long as the receiver asked for, the
	// push URL less.
	until := r.CloseUntil
	if most := r.At.Add(closedAtMost); until.After(most) {
		until = most
	}
	a.ClosedUntil = later(a.ClosedUntil, until)
}

// Note adds the result of an attempt to what is known of whether its host takes connections. Results must come in the
// order of their times.
func (h *Reach) Note(r Result) {
	switch {
	case r.Unmade:
	case r.Reached:
		h.Failures, h.ClosedUntil = 0, time.Time{}
	default:
		h.Failures++
		if pause := pauseAfter(h.Failures); pause > 0 {
			h.ClosedUntil = r.At.Add(pause)
		}
	}
}

// Note adds the result of an attempt to how pushing to one of its keys goes. Results must come in the order of their
// times.
func (k *KeyState) Note(r Result) {
	if r.Unmade && !r.Off {
		return
	}
	if r.Outcome == Delivered {
		k.DeliveredAt, k.FailingSince, k.Problem = r.At, time.Time{}, ""
	} else {
		k.FailedAt, k.Problem = r.At, r.Problem
		if k.FailingSince.IsZero() {
			k.FailingSince = r.At
		}
	}
	if r.Off && k.OffAt.IsZero() {
		k.OffAt = r.At
	}
}

// OpensAt returns when something may be sent to the push URL; a time that has passed, such as the zero time: now.
func (a Address) OpensAt() time.Time { return later(a.ClosedUntil, a.Reach.ClosedUntil) }

// Troubled reports whether the push URL failed so often that it gets one push at a time, to try.
func (a Address) Troubled() bool { return max(a.Failures, a.Reach.Failures) >= failuresToClose }

// The order in which push URLs get their turn.
const (
	works   = iota // it took the last push
	unknown        // nothing was delivered there yet
	fails          // the last push to it failed
)

// turn returns which turn a push URL gets: those that work come first.
func turn(a Address) int {
	switch {
	case a.Failures > 0 || a.Reach.Failures > 0:
		return fails
	case a.DeliveredAt.IsZero():
		return unknown
	}
	return works
}

// How many pushes to one push URL a node has under way at a time.
const (
	firstAtOnce = 1  // to one that nothing is known of; doubled by every success, halved by every failure
	mostAtOnce  = 64 // to one that answers well
	claimAtOnce = 64
)

// A share is how many pushes to one push URL this node has under way.
type share struct {
	inFlight int
	allowed  int // how many there may be
}

// take takes room for pushes to a, of which free are left for all, and returns for how many. It takes at least half of
// what a may have, so that a busy push URL costs few queries, and nothing if there is less room than that.
func (s *share) take(a Address, free int) int {
	allowed := s.allowed
	if a.Troubled() {
		allowed, s.allowed = 1, firstAtOnce
	}
	n := min(allowed-s.inFlight, claimAtOnce, free)
	if n <= 0 || n < allowed/2 {
		return 0
	}
	s.inFlight += n
	return n
}

// learn changes how many pushes there may be by how the push URL answered.
func (s *share) learn(r Result) {
	switch {
	case r.Unmade:
	case r.Outcome == Delivered:
		s.allowed = min(2*s.allowed, mostAtOnce)
	case r.Problem != ProblemBusy:
		s.allowed = max(s.allowed/2, firstAtOnce)
	}
}

// Health says in a word how pushing to a key or a host goes.
type Health string

// The states of health.
const (
	NothingSent Health = "nothing sent yet"
	Working     Health = "working"
	Waiting     Health = "waiting" // it fails, but most likely that ends by itself
	Failing     Health = "failing"
	Closed      Health = "closed" // a host to which nothing is sent for a while
	SwitchedOff Health = "switched off"
)

// failsFor is how long attempts fail before somebody should look after it: servers are restarted every day.
const failsFor = 10 * time.Minute

// Health returns how pushing to the key goes.
func (k KeyState) Health(now time.Time) Health {
	switch {
	case !k.OffAt.IsZero():
		return SwitchedOff
	case !k.FailingSince.IsZero() && (k.Problem == ProblemBusy || now.Sub(k.FailingSince) < failsFor):
		return Waiting
	case !k.FailingSince.IsZero():
		return Failing
	case !k.DeliveredAt.IsZero():
		return Working
	}
	return NothingSent
}

// CurrentProblem returns why pushing to the host fails; empty if something was delivered since, and every push URL
// works.
func (h Host) CurrentProblem() Problem {
	if h.Failures == 0 && !h.FailedAt.After(h.DeliveredAt) {
		return ""
	}
	return h.Problem
}

// Health returns how pushing to the host goes: [Working], [Waiting], [Failing] or [Closed].
func (h Host) Health(now time.Time) Health {
	closed := h.ClosedUntil.After(now)
	switch {
	case (closed || h.Failures > 0) && h.CurrentProblem() == ProblemBusy, h.Failures == 1 && !closed:
		return Waiting
	case closed:
		return Closed
	case h.Failures > 0:
		return Failing
	}
	return Working
}

// Problem says in a word why a push failed. [Problem.Sentence] and [Problem.Detail] say it to people.
type Problem string

// The problems. A status that is no success is written "status 503".
const (
	ProblemConnection Problem = "connection"
	ProblemTimeout    Problem = "timeout"
	ProblemTLS        Problem = "tls"
	ProblemAddress    Problem = "address"
	ProblemGone       Problem = "gone"
	ProblemMoved      Problem = "moved"
	ProblemOverdue    Problem = "overdue"
	ProblemBusy       Problem = "busy"
	ProblemOff        Problem = "off"

	statusProblem = "status "
)

// Barred says to the owner of a key why nothing is pushed to its push URL, whatever the app's server does; empty if
// something is.
func Barred(s site.Settings, k site.UserAPIKey) string {
	switch {
	case s.Pushes(k.Scopes, k.PushURL):
		return ""
	case !k.Scopes.Has(userkeys.ScopePush) && !k.Scopes.Has(userkeys.ScopeNotifications):
		return "The app gave this address, but you did not let it have your notifications."
	}
	return "This site does not allow sending to that address now."
}

// details are what administrators read of a problem.
var details = map[Problem]string{
	ProblemConnection: "nobody listens there, or the name is unknown",
	ProblemTimeout:    "no answer in time",
	ProblemTLS: "no secure connection: the certificate has expired, is for another name, " +
		"or is from nobody whom this server trusts",
	ProblemAddress: "the address lies inside, and allowed_internal_hosts does not name it",
	ProblemGone:    "the receiver wants no more (status 410, or 404 again and again)",
	ProblemMoved:   "the receiver has moved (status 301 or 308), and redirects are not followed",
	ProblemOverdue: "it could not be tried in time",
	ProblemBusy:    "the receiver takes no more at the moment (status 429 or 503)",
	ProblemOff:     "pushing to the app was switched off meanwhile",
}

// Detail says the problem to an administrator.
func (p Problem) Detail() string {
	if detail, ok := details[p]; ok {
		return detail
	}
	if status, ok := strings.CutPrefix(string(p), statusProblem); ok {
		return "the receiver answered with status " + status
	}
	return string(p)
}

// Sentence says the problem to the app's user, without addresses and statuses (SS27).
func (p Problem) Sentence() string {
	switch p {
	case "":
		return ""
	case ProblemGone:
		return "the app's server says that it wants no more notifications"
	case ProblemMoved:
		return "the app's server has moved; approve the app anew to use its new address"
	case ProblemBusy:
		return "the app's server asked for a pause"
	}
	return "the app's server could not be reached, or did not accept them"
}

// later returns the later one of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
