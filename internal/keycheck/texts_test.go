package keycheck

import (
	"strconv"
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
			number, _ := s.Add(record{fingerprint: fingerprint{uint64(i), uint64(i)}, standing: memory.None}, at)
			s.Take(s.Account(number), at, limits)
			accounts, model = append(accounts, s.Account(number)), append(model, "")
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

// However many texts a shard has, one look-up of a key moves only some of them to new memory, so that the shard is never
// locked for long. Texts stay what they are meanwhile, also those of keys that are forgotten and made anew.
func TestRepackingInSteps(t *testing.T) {
	t.Parallel()
	const n = 4 * repackStep
	table := newTable(64 * n)
	s, now := &table.shards[0], time.Unix(1e9, 0)
	text := func(i, round int) string { return strings.Repeat("x", 8*(i%5)) + strconv.Itoa(i*1000+round) }
	want := make([]string, n+1) // by number
	add := func(i int) {
		at := s.Begin(now)
		number, _ := s.Add(record{fingerprint: fingerprint{uint64(i), uint64(i)}, standing: memory.None}, at)
		want[number] = text(i, 0)
		s.fill(s.Account(number), &loaded{id: text(i, 0), standing: &standing{}})
	}
	for i := range n {
		add(i)
	}
	texts := func() (positions []uint32) {
		for number := range uint32(n) {
			positions = append(positions, s.Account(number+1).Data.text)
		}
		return positions
	}
	steps, done := 0, 0
	for round := 1; round <= 3; round++ {
		for number := uint32(1); number <= n; number++ {
			before := texts()
			repacking := s.texts.Repacking()
			if number%7 == 0 {
				s.Forget(number)
				add(int(number))
			}
			want[number] = text(int(number), round)
			s.fill(s.Account(number), &loaded{id: want[number], standing: &standing{}})
			moved := 0
			for i, position := range texts() {
				if position != before[i] {
					moved++
				}
			}
			if moved > 2*repackStep+1 || moved > repackStep+1 && number%7 != 0 {
				t.Fatalf("%d texts were moved at once", moved)
			}
			if moved > 1 {
				steps++
			}
			if repacking && !s.texts.Repacking() {
				done++
			}
			for other := uint32(1); other <= n; other++ {
				if got := s.textOf(&s.Account(other).Data); got != want[other] {
					t.Fatalf("text %d is %q, want %q", other, got, want[other])
				}
			}
		}
	}
	if done == 0 || steps < 3*done {
		t.Errorf("repacked %d times in %d steps", done, steps)
	}
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
	p := fingerprintOf(&h)
	s := table.shard(&p)
	f := &lookUp{hash: h}
	s.lookUps[h] = f
	table.forget(h)
	l := loaded{record: record{fingerprint: p, keyID: 1}, standing: &standing{}}
	if wait, err := table.insert(f, &l, time.Unix(1e9, 0)); wait != 0 || err != nil || table.len() != 0 {
		t.Errorf("kept: %v, %v, %d keys", wait, err, table.len())
	}
	f = &lookUp{hash: h}
	s.lookUps[h] = f
	if _, err := table.insert(f, &l, time.Unix(1e9, 0)); err != nil || table.len() != 1 {
		t.Errorf("not kept: %v, %d keys", err, table.len())
	}
}
