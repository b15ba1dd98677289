package authority

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"userkeys"
	"userkeys/internal/limit"
	"userkeys/site"
)

// QuotaStore counts what must not be forgotten by a restart: attempts at codes, registrations, renewals.
type QuotaStore interface {
	// ChargeAttempt adds one to a count within its window and returns the count and when the window began.
	ChargeAttempt(ctx context.Context, name string, window time.Duration, at time.Time) (int, time.Time, error)
}

// maxStrangers bounds how many callers without a key are counted at once.
const maxStrangers = 1 << 17

// A quota is how often something may be done in a window, beside the limits of keys.
type quota struct {
	name   string
	most   int
	window time.Duration
	stored bool
}

// perMinute is a quota that is counted in memory of this process, exactly: for what only costs work.
func perMinute(name string, most int) quota { return quota{name, most, time.Minute, false} }

// stored is a quota that is counted in the database, where neither a restart nor another node forgets: for what
// somebody could guess, and for what leaves something for good.
func stored(name string, most int, window time.Duration) quota {
	return quota{name, most, window, true}
}

// charge counts that the subject does once more what q bounds. Subjects are told apart from those of other quotas.
// Errors: [userkeys.RateLimited] if it is once too often.
func (a *Authority) charge(ctx context.Context, q quota, subject string) error {
	if !q.stored {
		return a.chargeHere(q, subject)
	}
	now := a.now().UTC()
	n, since, err := a.store.ChargeAttempt(ctx, q.counter(subject), q.window, now)
	if err == nil && n > q.most {
		err = q.exceeded(since.Add(q.window).Sub(now))
	}
	return err
}

// chargeHere is charge for a quota that is counted in memory.
func (a *Authority) chargeHere(q quota, subject string) error {
	d := a.strangers.Take(a.strangerID(q, subject), a.now(), limit.Limits{Minute: q.most, Day: 24 * 60 * q.most})
	if d.OK {
		return nil
	}
	return q.exceeded(d.RetryAfter)
}

func (q quota) exceeded(wait time.Duration) error {
	return rateLimited("That was done too many times.", q.most, q.window, max(wait, time.Second))
}

// rateLimited is the refusal of what was done more often than most times in a window: said tells what.
func rateLimited(said string, most int, window, wait time.Duration) *userkeys.Error {
	e := &userkeys.Error{
		Code: userkeys.RateLimited, RetryAfter: wait,
		Reason: "limit: " + strconv.Itoa(max(most, 0)) + " per " + strconv.Itoa(int(window/time.Second)) + " s",
	}
	e.Public = said + " Please wait " + e.TimeLeft() + " before trying again."
	return e
}

// subject names a subject of q. Parts are told apart by their lengths: no subject can be mistaken for another (RL18).
func (q quota) subject(subject string) []byte {
	return []byte(strconv.Itoa(len(q.name)) + ":" + q.name + subject)
}

// counter is the name of q's count for a subject in the database. It is hashed, so that no subject is written down.
func (q quota) counter(subject string) string {
	h := sha256.Sum256(q.subject(subject))
	return "quota:" + hex.EncodeToString(h[:16])
}

// strangerID is the number that q counts a subject under. Strangers choose subjects, so the number is made with a
// secret of this process: else they could choose some that share a count with others, or crowd one place of the limiter.
func (a *Authority) strangerID(q quota, subject string) int64 {
	h := hmac.New(sha256.New, a.secret[:])
	_, _ = h.Write(q.subject(subject)) // a hash never fails
	return int64(binary.LittleEndian.Uint64(h.Sum(nil)))
}

func userSubject(u site.User) string { return strconv.FormatInt(u.ID, 10) }

func keySubject(a userkeys.Access) string { return strconv.FormatInt(a.KeyID, 10) }
