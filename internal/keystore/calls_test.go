package keystore

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestCallsAreSharedByPrograms(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	const id, most = "0123456789abcdef", 10
	atMost := func(calls []time.Time) time.Duration {
		if len(calls) >= most {
			return time.Second
		}
		return 0
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if _, err := OpenCalls(dir).Take(id, now, atMost); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	count := func(at time.Time) int {
		n := 0
		if _, err := OpenCalls(dir).Take(id, at, func(calls []time.Time) time.Duration { n = len(calls); return time.Second }); err != nil {
			t.Error(err)
		}
		return n
	}
	if n := count(now); n != most {
		t.Errorf("%d calls were taken of %d", n, most)
	}
	if n := count(now.Add(24 * time.Hour)); n != 0 {
		t.Errorf("a day later %d count", n)
	}
	if n := count(now.Add(-time.Hour)); n != 0 {
		t.Errorf("before they were made %d count", n)
	}
	for _, bad := range []string{"", "../keys.json", "a/b", "ABCDEF0123"} {
		if _, err := OpenCalls(dir).Take(bad, now, atMost); err == nil {
			t.Errorf("%q names a file", bad)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "calls", id), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := count(now); n != 0 {
		t.Errorf("of a broken file %d count", n)
	}
}
