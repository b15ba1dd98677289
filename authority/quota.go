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
	"userkeys/internal/keycheck"
	"userkeys/internal/limit"
	"userkeys/site"
)

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
func (c *core) charge(ctx context.Context, q quota, subject string) error {
	if !q.stored {
		return c.chargeHere(q, subject)
	}
	now := c.now().UTC()
	n, since, err := c.quotas.ChargeAttempt(ctx, q.counter(subject), q.window, now)
	if err == nil && n > q.most {
		err = q.exceeded(since.Add(q.window).Sub(now))
	}
	return err
}

// chargeHere is charge for a quota that is counted in memory.
func (c *core) chargeHere(q quota, subject string) error {
	d := c.strangers.Take(c.strangerID(q, subject), c.now(), limit.Limits{Minute: q.most, Day: 24 * 60 * q.most})
	if d.OK {
		return nil
	}
	return q.exceeded(d.RetryAfter)
}

func (q quota) exceeded(wait time.Duration) error {
	return keycheck.RateLimited("That was done too many times.", q.most, q.window, max(wait, time.Second))
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
func (c *core) strangerID(q quota, subject string) int64 {
	h := hmac.New(sha256.New, c.secret[:])
	_, _ = h.Write(q.subject(subject)) // a hash never fails
	return int64(binary.LittleEndian.Uint64(h.Sum(nil)))
}

func userSubject(u site.User) string { return strconv.FormatInt(u.ID, 10) }

func keySubject(a userkeys.Access) string { return strconv.FormatInt(a.KeyID, 10) }
