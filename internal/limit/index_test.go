package limit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Ids that share a tag, follow each other or lie anywhere are found as in a map.
func TestIndexIsAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s shard
		s.init(1 << 20)
		at := momentOf(time.Unix(1e9, 0))
		model := map[int64]uint32{}
		id := rapid.OneOf(
			rapid.Int64Range(0, 200),
			rapid.Map(rapid.Int64Range(0, 40), func(n int64) int64 { return n << 58 }), // one tag for all
			rapid.Int64(),
		)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "ids") {
					id := id.Draw(t, "id")
					i, _ := s.find(id, &at)
					if old, ok := model[id]; ok && old != i {
						t.Fatalf("id %d is at %d and at %d", id, old, i)
					}
					model[id] = i
				}
			},
			"remove": func(t *rapid.T) {
				id := id.Draw(t, "id")
				if i, ok := model[id]; ok {
					s.forget(i)
					delete(model, id)
				}
				s.index.remove(id, &s)
			},
			"": func(t *rapid.T) {
				if s.index.n != len(model) {
					t.Fatalf("%d ids, want %d", s.index.n, len(model))
				}
				for id, want := range model {
					if _, i := s.index.find(id, &s); i != want || s.key(i).id != id {
						t.Fatalf("id %d is at %d, want %d", id, i, want)
					}
				}
			},
		})
	})
}
