package memory

import "unsafe"

// Texts are strings in chunks of memory that are written once: the garbage collector has a few chunks to follow
// instead of a million strings. A chunk is never changed where something was written, so a string of it stays good
// for whoever has it, also after its key was forgotten.
type Texts struct {
	chunks     [][]byte
	live, dead int // bytes
}

const (
	smallestChunk = 1 << 10
	largestChunk  = 1 << 16
	textAlign     = 8 // a text begins at a multiple of this
	placeBits     = 13
)

// Put stores a text, and returns where.
func (t *Texts) Put(text string) uint32 {
	if text == "" {
		return 0
	}
	size := aligned(len(text))
	last := len(t.chunks) - 1
	if last < 0 || len(t.chunks[last])+size > cap(t.chunks[last]) {
		room := smallestChunk
		if last >= 0 {
			room = min(2*cap(t.chunks[last]), largestChunk)
		}
		t.chunks = append(t.chunks, make([]byte, 0, max(room, size)))
		last++
	}
	from := len(t.chunks[last])
	t.chunks[last] = append(t.chunks[last], text...)[:from+size]
	t.live += size
	return uint32(last)<<placeBits | uint32(from/textAlign)
}

// At returns the text of so many bytes at a place.
func (t *Texts) At(place uint32, n int) string {
	if n == 0 {
		return ""
	}
	chunk := t.chunks[place>>placeBits]
	from := int(place&(1<<placeBits-1)) * textAlign
	return unsafe.String(&chunk[from], n)
}

// Drop notes that a text of so many bytes is no longer needed.
func (t *Texts) Drop(n int) {
	t.live -= aligned(n)
	t.dead += aligned(n)
}

// Live returns how many bytes are needed.
func (t *Texts) Live() int { return t.live }

// Wasteful reports whether most of the memory is no longer needed.
func (t *Texts) Wasteful() bool { return t.dead > t.live+smallestChunk }

func aligned(n int) int { return (n + textAlign - 1) / textAlign * textAlign }
