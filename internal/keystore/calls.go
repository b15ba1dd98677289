package keystore

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"userkeys/internal/ownfile"
)

// Calls records when programs that watch have used a key, so that several of them, or
// one that is started again, share the same part of the key's limits.
type Calls struct{ dir string }

// OpenCalls returns the records in the folder of a key store. Nothing is read yet.
func OpenCalls(dir string) Calls { return Calls{filepath.Join(dir, "calls")} }

// maxCallsBytes bounds what is read of one key's calls: more than a day of any share.
const maxCallsBytes = 1 << 20

// accountID is what names a file: ids are made here, but stand in a file that somebody could change.
var accountID = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

// Take records a call of an account at now if wait returns 0 for the calls so far,
// the oldest first. It returns the calls that count, with the new one if it was
// recorded. No other program records a call meanwhile.
func (c Calls) Take(id string, now time.Time, wait func(calls []time.Time) time.Duration) ([]time.Time, error) {
	if !accountID.MatchString(id) {
		return nil, ownfile.Errorf(nil, "%q is no account's id", id)
	}
	name := filepath.Join(c.dir, id)
	unlock, err := ownfile.Lock(name+".lock", ownfile.Patience)
	if err != nil {
		return nil, err
	}
	defer unlock()
	calls, err := readCalls(name, now)
	if err != nil {
		return nil, err
	}
	if wait(calls) > 0 {
		return calls, nil
	}
	calls = append(calls, now)
	content := make([]byte, 0, 8*len(calls))
	for _, t := range calls {
		content = binary.LittleEndian.AppendUint64(content, uint64(t.UnixNano()))
	}
	// Not synced: after a power cut the share begins anew, which costs nobody anything.
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return nil, ownfile.Errorf(err, "cannot write %s", name)
	}
	return calls, nil
}

// readCalls returns the calls of the day before now. A call in the future was recorded
// by a clock that was wrong, and does not count.
func readCalls(name string, now time.Time) ([]time.Time, error) {
	content, err := os.ReadFile(name)
	if os.IsNotExist(err) || len(content) > maxCallsBytes {
		return nil, nil
	}
	if err != nil {
		return nil, ownfile.Errorf(err, "cannot read %s", name)
	}
	var calls []time.Time
	for ; len(content) >= 8; content = content[8:] {
		t := time.Unix(0, int64(binary.LittleEndian.Uint64(content)))
		if now.Sub(t) < 24*time.Hour && !t.After(now) && (len(calls) == 0 || !t.Before(calls[len(calls)-1])) {
			calls = append(calls, t)
		}
	}
	return calls, nil
}
