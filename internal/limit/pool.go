package limit

import "math/bits"

// pool hands out the blocks that windows need when they outgrow themselves, and takes them back.
type pool struct {
	stamps [maxClass + 1]blocks[uint16]
	days   [maxDayClass + 1]blocks[uint32]
}

const (
	firstStamps = 16 // a block of class c has firstStamps<<c stamps, or firstDays<<c steps
	maxClass    = 12 // holds MaxMinute
	firstDays   = 4
	maxDayClass = 5 // holds daySteps
	// chunkWords is how many words are allocated at least.
	chunkWords = 1024
)

func newPool() pool {
	var p pool
	for class := range p.stamps {
		p.stamps[class] = newBlocks[uint16](firstStamps << class)
	}
	for class := range p.days {
		p.days[class] = newBlocks[uint32](firstDays << class)
	}
	return p
}

// blocks are blocks of one size, in chunks. Their numbers begin with 1.
type blocks[W uint16 | uint32] struct {
	size   uint32
	bits   uint8 // a chunk has 1<<bits blocks
	chunks []chunk[W]
	open   []uint32 // chunks with room; the last is used next
}

// chunk is some blocks in a row. One that is empty, and not the next to be
// used, has no words: windows that outgrow a size together leave nothing behind.
type chunk[W uint16 | uint32] struct {
	words []W
	free  []uint16 // blocks that were given back
	fresh uint16   // so many blocks were used yet
	live  uint16
}

func newBlocks[W uint16 | uint32](size uint32) blocks[W] {
	return blocks[W]{size: size, bits: uint8(bits.Len32(max(1, chunkWords/size)) - 1)}
}

func (b *blocks[W]) each() uint16 { return 1 << b.bits }

// find returns the chunk of a block, and its place there.
func (b *blocks[W]) find(number uint32) (chunk, place uint32) {
	return (number - 1) >> b.bits, (number - 1) & (1<<b.bits - 1)
}

// at returns the words of a block.
func (b *blocks[W]) at(number uint32) []W {
	i, place := b.find(number)
	return b.chunks[i].words[place*b.size : (place+1)*b.size]
}

// take returns a block of zeros.
func (b *blocks[W]) take() uint32 {
	if len(b.open) == 0 {
		b.open = append(b.open, uint32(len(b.chunks)))
		b.chunks = append(b.chunks, chunk[W]{})
	}
	i := b.open[len(b.open)-1]
	c := &b.chunks[i]
	if c.words == nil {
		c.words = make([]W, b.size<<b.bits)
	}
	place := c.fresh
	if n := len(c.free); n > 0 {
		place = c.free[n-1]
		c.free = c.free[:n-1]
	} else {
		c.fresh++
	}
	if c.live++; c.live == b.each() {
		b.open = b.open[:len(b.open)-1]
	}
	number := i<<b.bits + uint32(place) + 1
	clear(b.at(number))
	return number
}

// put takes a block back.
func (b *blocks[W]) put(number uint32) {
	i, place := b.find(number)
	c := &b.chunks[i]
	c.free = append(c.free, uint16(place))
	if c.live == b.each() {
		if n := len(b.open); n > 0 {
			b.chunks[b.open[n-1]].shrink()
		}
		b.open = append(b.open, i)
	}
	c.live--
	if i != b.open[len(b.open)-1] || b.bits == 0 {
		c.shrink() // also a burst's great block
	}
}

// shrink frees the words of an empty chunk.
func (c *chunk[W]) shrink() {
	if c.live == 0 {
		*c = chunk[W]{}
	}
}
