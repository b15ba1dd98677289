package memory

import (
	"slices"
	"unsafe"
)

// Texts are strings in chunks of memory, so that the garbage collector has a few chunks to follow instead of a million
// strings. What was written into a chunk is never changed, so a string that was read stays good for whoever has it,
// also after its key was forgotten.
//
// The memory of a text that was dropped is not used again. Instead all texts are moved to new chunks now and then:
// first the caller calls BeginRepacking, then Move for each text, then EndRepacking. Other calls may come between
// these.
type Texts struct {
	chunks    []chunk
	writing   int // the index of the chunk that is written to, plus 1; 0: none
	live      int // bytes of texts that were not dropped
	written   int // bytes that were written into chunks
	repacking bool
}

// chunk is memory for some texts.
type chunk struct {
	bytes []byte
	old   bool // made before BeginRepacking was called, and freed by EndRepacking
}

const (
	smallestChunk = 1 << 10
	largestChunk  = 1 << 16 // a text that is longer has a chunk of its own
	textAlign     = 8       // a text begins at a multiple of this
	// A position is the index of a chunk above so many bits for the index of the text in it, in units of textAlign.
	inChunkBits = 13
)

// Put stores a text, and returns its position.
func (t *Texts) Put(text string) (position uint32) {
	if text == "" {
		return 0
	}
	size := aligned(len(text))
	i := t.chunkFor(size)
	c := &t.chunks[i]
	from := len(c.bytes)
	c.bytes = append(c.bytes, text...)[:from+size]
	t.live += size
	t.written += size
	return uint32(i)<<inChunkBits | uint32(from/textAlign)
}

// chunkFor returns the index of a chunk with room for so many bytes.
func (t *Texts) chunkFor(size int) int {
	room := smallestChunk
	if t.writing > 0 {
		c := &t.chunks[t.writing-1]
		if len(c.bytes)+size <= cap(c.bytes) {
			return t.writing - 1
		}
		room = min(2*cap(c.bytes), largestChunk)
	}
	i := slices.IndexFunc(t.chunks, func(c chunk) bool { return c.bytes == nil })
	if i < 0 {
		i = len(t.chunks)
		t.chunks = append(t.chunks, chunk{})
	}
	t.chunks[i] = chunk{bytes: make([]byte, 0, max(room, size))}
	t.writing = i + 1
	return i
}

// Text returns the text of n bytes at a position.
func (t *Texts) Text(position uint32, n int) string {
	if n == 0 {
		return ""
	}
	c := &t.chunks[position>>inChunkBits]
	from := int(position&(1<<inChunkBits-1)) * textAlign
	return unsafe.String(&c.bytes[from], n)
}

// Drop notes that a text of n bytes is no longer needed.
func (t *Texts) Drop(n int) { t.live -= aligned(n) }

// Live returns how many bytes are needed.
func (t *Texts) Live() int { return t.live }

// BeginRepacking begins to move all texts to new chunks if most of the memory is no longer needed, and reports whether
// it is so.
func (t *Texts) BeginRepacking() bool {
	if t.written <= 2*t.live+smallestChunk {
		return false
	}
	for i := range t.chunks {
		t.chunks[i].old = true
	}
	t.writing, t.repacking = 0, true
	return true
}

// Repacking reports whether the texts are being moved.
func (t *Texts) Repacking() bool { return t.repacking }

// Move returns the new position of the text of n bytes at a position. A text that was stored since BeginRepacking was
// called does not move.
func (t *Texts) Move(position uint32, n int) uint32 {
	if n == 0 || !t.chunks[position>>inChunkBits].old {
		return position
	}
	moved := t.Put(t.Text(position, n))
	t.Drop(n)
	return moved
}

// EndRepacking frees the memory that the texts were moved from. Every text that is needed must have been moved.
func (t *Texts) EndRepacking() {
	for i := range t.chunks {
		if c := &t.chunks[i]; c.old {
			t.written -= len(c.bytes)
			*c = chunk{}
		}
	}
	t.repacking = false
}

// aligned returns the room that a text of n bytes takes.
func aligned(n int) int { return (n + textAlign - 1) / textAlign * textAlign }
