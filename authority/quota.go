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
)

// QuotaStore counts what must not be forgotten by a restart: guesses at codes, registrations, renewals.
type QuotaStore interface {
	// ChargeGuess adds one to a count within its window and tells the count and when the window began.
	ChargeGuess(ctx context.Context, name string, window time.Duration, at time.Time) (int, time.Time, error)
}

// maxStrangers bounds how many callers without a key are counted at once.
const maxStrangers = 1 << 17

// A quota is how often something may be done in a window.
type quota struct {
	name   string
	most   int
	window time.Duration
}

// counter is the name of q's count for one subject. Parts are told apart by
// their lengths, and hashed: no subject can be mistaken for another (RL18), and none is written down.
func (q quota) counter(subject string) string {
	h := sha256.Sum256([]byte(strconv.Itoa(len(q.name)) + ":" + q.name + subject))
	return "quota:" + hex.EncodeToString(h[:16])
}

func (q quota) refusal(wait time.Duration) error {
	e := &userkeys.Error{
		Code: userkeys.RateLimited, RetryAfter: max(wait, time.Second),
		Reason: "limit: " + strconv.Itoa(q.most) + " per " + strconv.Itoa(int(q.window/time.Second)) + " s",
	}
	e.Public = "That was done too many times. Please wait " + e.TimeLeft() + " before trying again."
	return e
}

// chargeStored counts in the database, where neither a restart nor another
// node forgets: for what somebody could guess.
func (a *Authority) chargeStored(ctx context.Context, q quota, subject string) error {
	now := a.now().UTC()
	n, since, err := a.store.ChargeGuess(ctx, q.counter(subject), q.window, now)
	if err == nil && n > q.most {
		err = q.refusal(since.Add(q.window).Sub(now))
	}
	return err
}

// chargeHere counts in memory of this process, exactly, within a minute: for what only costs work.
func (a *Authority) chargeHere(q quota, subject string) error {
	if q.window != time.Minute {
		panic("authority: what is counted in memory is counted by the minute")
	}
	if d := a.strangers.Take(a.strangerID(q, subject), a.now(), limit.Limits{Minute: q.most, Day: 24 * 60 * q.most}); !d.OK {
		return q.refusal(d.RetryAfter)
	}
	return nil
}

// strangerID is the number that q counts a subject under. Strangers choose subjects, so the number is made with a
// secret of this process: else they could choose some that share a count with others, or crowd one place of the limiter.
func (a *Authority) strangerID(q quota, subject string) int64 {
	h := hmac.New(sha256.New, a.secret[:])
	_, _ = h.Write([]byte(strconv.Itoa(len(q.name)) + ":" + q.name + subject)) // a hash never fails
	return int64(binary.LittleEndian.Uint64(h.Sum(nil)))
}
