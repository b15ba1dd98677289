package limit

import (
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

// Ids that share a tag, follow each other or lie anywhere are found as in a map.
func TestIndexIsAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s Shard[int64]
		s.Init(1<<20, tag, nil)
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
					_, i, _ := findOrAdd(&s, id, rapid.Uint32Range(0, 300).Draw(t, "hint"), &at)
					if old, ok := model[id]; ok && old != i {
						t.Fatalf("id %d is at %d and at %d", id, old, i)
					}
					model[id] = i
				}
			},
			"remove": func(t *rapid.T) {
				id := id.Draw(t, "id")
				if i, ok := model[id]; ok {
					s.Forget(i)
					delete(model, id)
				}
			},
			"": func(t *rapid.T) {
				if s.Len() != len(model) {
					t.Fatalf("%d ids, want %d", s.Len(), len(model))
				}
				for id, want := range model {
					if _, i, _ := findOrAdd(&s, id, 0, &at); i != want || s.Account(i).Data != id {
						t.Fatalf("id %d is at %d, want %d", id, i, want)
					}
				}
				n := 0
				for i := range s.Made() + 1 {
					if a := s.Account(i); a != nil {
						if n++; model[a.Data] != i {
							t.Fatalf("id %d is at %d, want %d", a.Data, i, model[a.Data])
						}
					}
				}
				if n != len(model) {
					t.Fatalf("%d accounts, want %d", n, len(model))
				}
			},
		})
	})
}

// The sizes that the memory of a site with many keys depends on.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(Account[int64]{}); n != 64 {
		t.Errorf("an account of an id has %d bytes", n)
	}
}
