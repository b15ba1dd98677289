package keycheck

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"userkeys"
	"userkeys/internal/keycheck/memory"
	"userkeys/internal/limit"
)

// Texts of any length stay what they are, also in a string that was handed out before the text was dropped, and memory
// that is no longer needed is given back.
func TestTextsOfRecords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := &newTable(0).shards[0]
		limits, now := limit.Limits{Minute: 1, Day: 1}, time.Unix(1e9, 0)
		accounts, model, out := []*account{}, []string{}, map[string]string{}
		for i := range 20 {
			s.Lock()
			at := s.Begin(now)
			number, _ := s.Add(record{place: place{uint64(i), uint64(i)}, standing: memory.None}, &at)
			s.Take(s.At(number), &at, limits)
			accounts, model = append(accounts, s.At(number)), append(model, "")
			s.Unlock()
		}
		t.Repeat(map[string]func(*rapid.T){
			"fill": func(t *rapid.T) {
				i := rapid.IntRange(0, len(accounts)-1).Draw(t, "account")
				name := strings.Repeat(rapid.StringN(0, 3, 8).Draw(t, "name"), rapid.SampledFrom([]int{1, 9, 600, 8000}).Draw(t, "times"))
				id := rapid.StringN(0, 40, 80).Draw(t, "id")
				s.fill(accounts[i], &loaded{name: name, id: id, standing: &standing{}})
				model[i] = name + id
			},
			"": func(t *rapid.T) {
				live := 0
				for i, a := range accounts {
					text := s.textOf(&a.Data)
					if text != model[i] {
						t.Fatalf("text %d is %q, want %q", i, text, model[i])
					}
					out[strings.Clone(text)] = text
					live += (len(text) + 7) / 8 * 8
				}
				for was, text := range out {
					if text != was {
						t.Fatalf("%q became %q in the hands of a request", was, text)
					}
				}
				if s.texts.Live() != live {
					t.Fatalf("%d bytes live, want %d", s.texts.Live(), live)
				}
			},
		})
	})
}

// The size that the memory of a site with many keys depends on: two cache lines.
func TestSizeOfAnAccount(t *testing.T) {
	if n := unsafe.Sizeof(account{}); n != 128 {
		t.Errorf("an account has %d bytes", n)
	}
}

// A key that is forgotten while it is looked up is looked up again, and what was found is not kept.
func TestForgottenDuringALookUp(t *testing.T) {
	t.Parallel()
	table := newTable(0)
	h := userkeys.NewKey("").Hash()
	p := placeOf(&h)
	s := table.shard(&p)
	f := &flight{hash: h}
	s.flights[h] = f
	table.forget(h)
	l := loaded{record: record{place: p, keyID: 1}, standing: &standing{}}
	if wait, err := table.keep(f, &l, time.Unix(1e9, 0)); wait != 0 || err != nil || table.len() != 0 {
		t.Errorf("kept: %v, %v, %d keys", wait, err, table.len())
	}
	f = &flight{hash: h}
	s.flights[h] = f
	if _, err := table.keep(f, &l, time.Unix(1e9, 0)); err != nil || table.len() != 1 {
		t.Errorf("not kept: %v, %d keys", err, table.len())
	}
}
