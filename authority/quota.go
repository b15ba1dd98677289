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

// perMinute returns a quota that is counted exactly, in the memory of this process. It is for what only costs work.
func perMinute(name string, most int) quota { return quota{name, most, time.Minute, false} }

// stored returns a quota that is counted in the database, so that neither a restart nor another node loses the count.
// It is for what could be guessed, and for what leaves a record.
func stored(name string, most int, window time.Duration) quota {
	return quota{name, most, window, true}
}

// charge counts one action of a subject against q. Each quota counts its subjects apart from those of the others.
//
// Errors: [userkeys.RateLimited] if the quota is exceeded.
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

// subject returns the name of a subject of q. It begins with the length of the name of q, so that no two pairs of
// quota and subject have the same name (RL18).
func (q quota) subject(subject string) []byte {
	return []byte(strconv.Itoa(len(q.name)) + ":" + q.name + subject)
}

// counter returns the name of the count of a subject in the database. The name is hashed, so that no subject is
// stored.
func (q quota) counter(subject string) string {
	h := sha256.Sum256(q.subject(subject))
	return "quota:" + hex.EncodeToString(h[:16])
}

// strangerID returns the number under which q counts a subject. It is derived with a secret of this process, because
// strangers choose subjects: otherwise they could choose subjects that share a count with others, or that all lie in
// one part of the limiter.
func (c *core) strangerID(q quota, subject string) int64 {
	h := hmac.New(sha256.New, c.secret[:])
	_, _ = h.Write(q.subject(subject)) // a hash never fails
	return int64(binary.LittleEndian.Uint64(h.Sum(nil)))
}

func userSubject(u site.User) string { return strconv.FormatInt(u.ID, 10) }

func keySubject(a userkeys.Access) string { return strconv.FormatInt(a.KeyID, 10) }
