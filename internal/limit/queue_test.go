package limit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func (p *pool) words(q *queue) []uint32 {
	words := []uint32{}
	for i := range int(q.n) {
		words = append(words, *q.at(p.ring(q), i))
	}
	return words
}

// Queues of every size that share a pool are as good as slices of their own.
func TestQueuesAreSlices(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := new(pool)
		var queues [4]queue
		models := [4][]uint32{{}, {}, {}, {}}
		next := uint32(0)
		which := rapid.IntRange(0, 3)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				i := which.Draw(t, "queue")
				for range rapid.IntRange(1, 300).Draw(t, "words") {
					next++
					p.push(&queues[i], next)
					models[i] = append(models[i], next)
				}
			},
			"drop": func(t *rapid.T) {
				i := which.Draw(t, "queue")
				n := rapid.IntRange(0, len(models[i])).Draw(t, "words")
				for range n {
					queues[i].drop()
				}
				models[i] = models[i][n:]
			},
			"clear": func(t *rapid.T) {
				i := which.Draw(t, "queue")
				queues[i].clear()
				models[i] = []uint32{}
			},
			"release": func(t *rapid.T) {
				i := which.Draw(t, "queue")
				p.release(&queues[i])
				models[i] = []uint32{}
			},
			"": func(t *rapid.T) {
				for i := range queues {
					if diff := cmp.Diff(models[i], p.words(&queues[i])); diff != "" {
						t.Fatalf("queue %d:\n%s", i, diff)
					}
				}
			},
		})
	})
}

func fillQueue(p *pool, n int) queue {
	var q queue
	for i := range uint32(n) {
		p.push(&q, i)
	}
	return q
}

func TestBlocksAreUsedAgain(t *testing.T) {
	t.Parallel()
	p := new(pool)
	for range 3 {
		q := fillQueue(p, MaxMinute)
		p.release(&q)
	}
	for class := 1; class <= maxClass; class++ {
		s := p[class]
		if len(s.chunks) != 1 || len(s.open) != 1 || s.chunks[0].live != 0 {
			t.Errorf("class %d: %d chunks, %d open, want 1 and 1, empty", class, len(s.chunks), len(s.open))
		}
		if class > chunkClass && s.chunks[0].words != nil {
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
			p := new(pool)
			queues := make([]queue, 1000)
			for word := range uint32(128) {
				for i := range queues {
					p.push(&queues[order(i)], word)
				}
			}
			kept := 0
			for class := 1; class < 7; class++ {
				for _, c := range p[class].chunks {
					kept += len(c.words)
				}
			}
			if most := 6 << chunkClass; kept > most {
				t.Errorf("%d words in outgrown blocks, at most %d", kept, most)
			}
			for i := range queues {
				if words := p.words(&queues[i]); len(words) != 128 || words[127] != 127 {
					t.Fatalf("queue %d is damaged", i)
				}
			}
		})
	}
}
