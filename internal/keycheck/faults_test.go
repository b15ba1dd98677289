package keycheck

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

// slowWorld calls onWrite once, before uses are written.
type slowWorld struct {
	*world
	onWrite func()
}

func (s *slowWorld) RecordUses(ctx context.Context, uses []site.KeyUse) error {
	if f := s.onWrite; f != nil {
		s.onWrite = nil
		f()
	}
	return s.world.RecordUses(ctx, uses)
}

// newSlowWorld makes a world with limits for keys only, 20 a minute and as many a day as given.
func newSlowWorld(t *testing.T, day string, maxKeys int) (*slowWorld, *Checker) {
	t.Helper()
	catalog, err := userkeys.NewCatalog()
	if err != nil {
		t.Fatal(err)
	}
	w := &slowWorld{world: &world{now: time.Unix(0, 0).Add(2_000_000 * dayStep), written: map[int64]site.KeyUse{}}}
	w.settings = map[string]string{
		"max_user_api_reqs_per_minute": "20", "max_user_api_reqs_per_day": day,
		"max_user_api_reqs_per_user_per_minute": "0", "max_user_api_reqs_per_user_per_day": "0",
	}
	ck, err := New(t.Context(), Config{
		Store: w, Catalog: catalog, MaxKeys: maxKeys, Now: func() time.Time { return w.now }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w, ck
}

// keyIn makes a key whose account lies in a shard that is in.
func (w *world) keyIn(in func(shard int) bool) *worldKey {
	for {
		w.newKey()
		k := w.keys[len(w.keys)-1]
		if p := fingerprintOf(&k.Hash); in(p.shard()) {
			return k
		}
		w.keys = w.keys[:len(w.keys)-1]
	}
}

// passed is how many of n requests pass.
func passed(t *testing.T, ck *Checker, key userkeys.Key, n int) (passed int) {
	t.Helper()
	for range n {
		if _, err := ck.Check(t.Context(), site.Call{Key: key.Reveal(), Method: "GET", Path: "/latest.json"}); err == nil {
			passed++
		}
	}
	return passed
}

// A flush that takes long does not shorten the minute of keys that it comes to last.
func TestSlowWritesMoveNoWindow(t *testing.T) {
	t.Parallel()
	w, ck := newSlowWorld(t, "1000", 0)
	for range flushBatch + 120 {
		passed(t, ck, w.keyIn(func(shard int) bool { return shard < shardCount-1 }).text, 1)
	}
	k := w.keyIn(func(shard int) bool { return shard == shardCount-1 })
	first := 0
	w.onWrite = func() {
		w.now = w.now.Add(40 * time.Second)
		first = passed(t, ck, k.text, 21)
	}
	if err := ck.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(30 * time.Second)
	if second := passed(t, ck, k.text, 21); first != 20 || second != 0 {
		t.Errorf("%d and %d pass in 30 seconds, want 20 and 0", first, second)
	}
}

// Another node renews a key more than once before it is used here again.
func TestRenewedElsewhereKeepsItsWindows(t *testing.T) {
	t.Parallel()
	w, ck := newSlowWorld(t, "1000", 0)
	w.newKey()
	k := w.keys[0]
	first := passed(t, ck, k.text, 21)
	var told []userkeys.KeyHash
	for range 3 {
		k.OldHash, k.OldUntil = k.Hash, w.now.Add(time.Minute)
		k.text = userkeys.NewKey("")
		k.Hash = k.text.Hash()
		told = append(told, k.OldHash, k.Hash)
	}
	w.tell(site.Changes{Hashes: told})
	if second := passed(t, ck, k.text, 21); first != 20 || second != 0 {
		t.Errorf("%d and %d pass at once, want 20 and 0", first, second)
	}
}

// The key before a renewal is good also in the moment in which only the key that it stood for was forgotten.
func TestOldKeyWhileItsReplacementIsForgotten(t *testing.T) {
	t.Parallel()
	w, ck := newSlowWorld(t, "1000", 0)
	w.newKey()
	k := w.keys[0]
	one := k.text
	k.OldHash, k.OldUntil = k.Hash, w.now.Add(time.Minute)
	k.Hash = userkeys.NewKey("").Hash()
	if passed(t, ck, one, 1) != 1 {
		t.Fatal("refused")
	}
	astray := k.Hash
	k.Hash = userkeys.NewKey("").Hash()
	ck.table.forget(astray)
	_, err := ck.Check(t.Context(), site.Call{Key: one.Reveal(), Method: "GET", Path: "/latest.json"})
	if err != nil {
		t.Errorf("a good key: %v (invalid: %v)", err, errors.Is(err, userkeys.ErrInvalidKey))
	}
}

// A key whose use is being written is not forgotten for another one, because its day would be lost.
func TestKeyIsKeptWhileItsUseIsWritten(t *testing.T) {
	t.Parallel()
	w, ck := newSlowWorld(t, "20", 1)
	inFirst := func(shard int) bool { return shard == 0 }
	k := w.keyIn(inFirst)
	first, second := passed(t, ck, k.text, 20), 0
	w.now = w.now.Add(time.Millisecond)
	for range 63 { // then the shard is full, and k is the one that was used longest ago
		passed(t, ck, w.keyIn(inFirst).text, 1)
	}
	w.onWrite = func() {
		w.now = w.now.Add(61 * time.Second)
		p := fingerprintOf(&k.Hash)
		for range 200 {
			passed(t, ck, w.keyIn(inFirst).text, 1)
			if a, _ := ck.table.shards[0].find(&p); a == nil {
				break
			}
		}
		second = passed(t, ck, k.text, 20)
	}
	if err := ck.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if first != 20 || second != 0 {
		t.Errorf("%d and %d pass in a day, want 20 and 0", first, second)
	}
}

// The clock is set back, and then the program ends.
func TestEndAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	w, ck := newSlowWorld(t, "1000", 0)
	w.newKey()
	k := w.keys[0]
	for _, back := range []time.Duration{0, 2 * time.Hour} {
		w.now = w.now.Add(-back)
		ck.lease.base = ck.lease.base.Add(-back) // it goes by the monotonic clock, which nobody sets back
		before := w.written[k.ID].Day
		if n := passed(t, ck, k.text, 5); n != 5 {
			t.Fatalf("%d pass", n)
		}
		if err := ck.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if slices.Equal(w.written[k.ID].Day, before) {
			t.Errorf("set back by %v: the day was not saved", back)
		}
	}
}

// Requests that are refused for their scope are charged. Their day is saved with those of all others, and says nothing
// of a last use.
func TestDayOfRefusedRequestsIsSaved(t *testing.T) {
	t.Parallel()
	w, ck := newSlowWorld(t, "5", 0)
	w.newKey()
	k := w.keys[0]
	post := func(ck *Checker) error {
		_, err := ck.Check(t.Context(), site.Call{Key: k.text.Reveal(), Method: "POST", Path: "/posts.json"})
		return err
	}
	for range 5 {
		if err := post(ck); !errors.Is(err, userkeys.InvalidAccess) {
			t.Fatalf("not refused for its scope: %v", err)
		}
	}
	if err := ck.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if u := w.written[k.ID]; len(u.Day) == 0 || u.LastUsedAt.UnixMicro() != 0 {
		t.Errorf("written: a day of %d bytes, last used %v", len(u.Day), u.LastUsedAt)
	}
	restarted, err := New(t.Context(), Config{Store: w, Catalog: ck.catalog, Now: ck.now, Logger: ck.log})
	if err != nil {
		t.Fatal(err)
	}
	if err := post(restarted); !errors.Is(err, userkeys.RateLimited) {
		t.Errorf("after a restart: %v, want a refusal by the limit of the day", err)
	}
}
