package keystore

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"userkeys/internal/ownfile"
)

// Calls remembers when keys were used by programs that watch, so that several of them, and one that is
// started again, stay within the same share of a key's limits.
type Calls struct{ dir string }

// OpenCalls finds the memory in the key store's folder. Nothing is read yet.
func OpenCalls(dir string) Calls { return Calls{filepath.Join(dir, "calls")} }

// maxCallsBytes bounds what is read of one key's calls: more than a day of any share.
const maxCallsBytes = 1 << 20

// accountID is what names a file: ids are made here, but stand in a file that somebody could change.
var accountID = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

// Take notes a call of an account at now if wait, which is given the calls so far (the oldest first), gives
// 0. It returns all calls that count, with the new one if it was noted. No other
// program takes one meanwhile.
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

// readCalls are the calls of the day before now. What the clock has not come to yet was noted by a clock that
// was wrong, and does not count.
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
