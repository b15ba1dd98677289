package limit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// momentOf returns t for windows that have seen no later time.
func momentOf(t time.Time) (m Moment) {
	now, part := millis(t)
	m.set(now, part, 0)
	return m
}

func (w *windows) times(p *pool) []int64 {
	times := []int64{}
	for i := range int(w.n) {
		times = append(times, w.stamp(w.ring(p), i))
	}
	return times
}

// fillMinute charges n requests at once.
func fillMinute(p *pool, w *windows, n int, at *Moment) {
	for range n {
		w.charge(p, at)
	}
}

// Windows of every size that share a pool are as good as slices of their own.
func TestMinutesAreSlices(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPool()
		now := time.Unix(1e9, 0)
		at := momentOf(now)
		var all [4]windows
		models := [4][]int64{{}, {}, {}, {}}
		which := rapid.IntRange(0, 3)
		t.Repeat(map[string]func(*rapid.T){
			"charge": func(t *rapid.T) {
				i := which.Draw(t, "windows")
				for range rapid.IntRange(1, 300).Draw(t, "requests") {
					now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "ms")) * time.Millisecond)
					at = momentOf(now)
					all[i].charge(&p, &at)
					models[i] = append(models[i], at.stamp)
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 90_000).Draw(t, "ms")) * time.Millisecond)
				at = momentOf(now)
			},
			"release": func(t *rapid.T) {
				i := which.Draw(t, "windows")
				all[i].forgetMinute(&p)
				all[i].forgetDay(&p)
				models[i] = []int64{}
			},
			"move": func(t *rapid.T) {
				i, other := which.Draw(t, "windows"), newPool()
				var moved windows
				moved.move(&other, &all[i], &p)
				if diff := cmp.Diff(all[i].times(&p), moved.times(&other)); diff != "" {
					t.Fatalf("moved windows %d:\n%s", i, diff)
				}
			},
			"": func(t *rapid.T) {
				for i := range all {
					all[i].trim(&p, &at)
					for len(models[i]) > 0 && models[i][0]+minuteLen <= at.floor {
						models[i] = models[i][1:]
					}
					if diff := cmp.Diff(models[i], all[i].times(&p)); diff != "" {
						t.Fatalf("windows %d:\n%s", i, diff)
					}
				}
			},
		})
	})
}

func TestBlocksAreUsedAgain(t *testing.T) {
	t.Parallel()
	p, at := newPool(), momentOf(time.Unix(1e9, 0))
	for range 3 {
		var w windows
		fillMinute(&p, &w, MaxMinute, &at)
		w.forgetMinute(&p)
	}
	for class := uint8(1); class <= maxClass; class++ {
		s := p.minute(class)
		if len(s.chunks) != 1 || len(s.open) != 1 || s.chunks[0].live != 0 {
			t.Errorf("class %d: %d chunks, %d open, want 1 and 1, empty", class, len(s.chunks), len(s.open))
		}
		if s.bits == 0 && s.chunks[0].words != nil {
			t.Errorf("class %d: a great block is kept", class)
		}
	}
}

// Keys that grow together, as after a start, leave the blocks they grew out of.
func TestEmptyChunksAreGivenBack(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]func(i int) int{
		"in order":       func(i int) int { return i },
		"from the end":   func(i int) int { return 999 - i },
		"here and there": func(i int) int { return i * 7 % 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPool()
			now := time.Unix(1e9, 0)
			all := make([]windows, 1000)
			for i := range 256 {
				at := momentOf(now.Add(time.Duration(i) * time.Millisecond))
				for i := range all {
					all[order(i)].charge(&p, &at)
				}
			}
			kept := 0
			for class := uint8(1); class < 4; class++ {
				for _, c := range p.minute(class).chunks {
					kept += len(c.words)
				}
			}
			if most := 3 * chunkWords; kept > most {
				t.Errorf("%d words in outgrown blocks, at most %d", kept, most)
			}
			for i := range all {
				if times := all[i].times(&p); len(times) != 256 || times[255]-times[0] != 255 {
					t.Fatalf("the stamps of windows %d are damaged", i)
				}
			}
		})
	}
}
