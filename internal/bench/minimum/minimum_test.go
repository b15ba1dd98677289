package minimum

import (
	"crypto/sha256"
	"strconv"
	"testing"
	"time"
	"unsafe"
)

func TestCheck(t *testing.T) {
	const n = 5000
	table := New(n, strconv.Itoa)
	now := time.Date(2026, 11, 1, 0, 0, 59, 0, time.UTC)
	for i := range n {
		if !table.Check(strconv.Itoa(i), now) {
			t.Fatalf("key %d is refused", i)
		}
		if got := table.Find(sha256.Sum256([]byte(strconv.Itoa(i)))); got != i {
			t.Fatalf("key %d is found as %d", i, got)
		}
	}
	for i := n; i < 2*n; i++ {
		if table.Check(strconv.Itoa(i), now) {
			t.Fatalf("%d is no key and is accepted", i)
		}
	}
	if !table.Check("7", now.Add(time.Second)) {
		t.Error("refused in the next minute")
	}
	r, _ := table.find(fingerprintOf(sha256.Sum256([]byte("7"))))
	if r.minute.count != 1 || r.day.count != 2 || r.lastUsed != now.Add(time.Second).UnixMicro() {
		t.Errorf("a use in each of two minutes: %+v", *r)
	}
	if n := testing.AllocsPerRun(100, func() { table.Check("7", now) }); n != 0 {
		t.Errorf("%v allocations a check", n)
	}
}

func TestWindowRefuses(t *testing.T) {
	t.Parallel()
	var w window
	for i, want := range []bool{true, true, false} {
		if got := w.take(1, 2); got != want {
			t.Errorf("call %d: %v, want %v", i, got, want)
		}
	}
	if !w.take(2, 2) {
		t.Error("refused in the next window")
	}
}

func TestRecordFillsACacheLine(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(record{}); n != 64 {
		t.Errorf("a record has %d bytes, want 64", n)
	}
}
