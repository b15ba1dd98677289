package limit

import "math/bits"

// pool has the memory for windows with more requests than fit into [windows]: blocks of some sizes, which are called
// classes. The class 0 of a minute is no block, but the stamps in windows.
type pool struct {
	stamps [maxClass]blocks[uint16] // of the classes 1 to maxClass; see minute
	days   [maxDayClass + 1]blocks[uint32]
}

const (
	firstStamps = 32 // how many stamps a block of class 1 has; each further class has twice as many
	maxClass    = 12 // its blocks hold MaxMinute stamps
	firstDays   = 4  // how many steps a block of class 0 has; each further class has twice as many
	maxDayClass = 5  // its blocks hold daySteps steps
	chunkWords  = 1024
)

// minute returns the blocks for the stamps of a class, which is not 0.
func (p *pool) minute(class uint8) *blocks[uint16] { return &p.stamps[class-1] }

func newPool() pool {
	var p pool
	for i := range p.stamps {
		p.stamps[i] = newBlocks[uint16](firstStamps << i)
	}
	for class := range p.days {
		p.days[class] = newBlocks[uint32](firstDays << class)
	}
	return p
}

// blocks allocates blocks of one size. It allocates their memory in chunks of at least chunkWords words. Blocks have
// numbers, which begin with 1.
type blocks[W uint16 | uint32] struct {
	size   uint32 // words of a block
	bits   uint8  // a chunk has 1<<bits blocks
	chunks []chunk[W]
	open   []uint32 // indices of the chunks with a free block; the last one is used next
}

// chunk is some blocks in a row. A chunk without a block in use has no words, unless it is the one that is used next.
// So windows that outgrow a class together leave no memory behind.
type chunk[W uint16 | uint32] struct {
	words []W
	free  []uint16 // blocks that were given back, by their index in the chunk
	made  uint16   // how many blocks were handed out at least once
	live  uint16   // how many blocks are in use
}

func newBlocks[W uint16 | uint32](size uint32) blocks[W] {
	return blocks[W]{size: size, bits: uint8(bits.Len32(max(1, chunkWords/size)) - 1)}
}

// perChunk returns how many blocks a chunk has.
func (b *blocks[W]) perChunk() uint16 { return 1 << b.bits }

// locate returns the index of the chunk of a block, and the index of the block in the chunk.
func (b *blocks[W]) locate(number uint32) (chunk, inChunk uint32) {
	return (number - 1) >> b.bits, (number - 1) & (1<<b.bits - 1)
}

// words returns the words of a block.
func (b *blocks[W]) words(number uint32) []W {
	i, inChunk := b.locate(number)
	return b.chunks[i].words[inChunk*b.size : (inChunk+1)*b.size]
}

// take returns the number of a block that is not in use, and sets its words to zero.
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
	inChunk := c.made
	if n := len(c.free); n > 0 {
		inChunk = c.free[n-1]
		c.free = c.free[:n-1]
	} else {
		c.made++
	}
	if c.live++; c.live == b.perChunk() {
		b.open = b.open[:len(b.open)-1]
	}
	number := i<<b.bits + uint32(inChunk) + 1
	clear(b.words(number))
	return number
}

// put takes a block back.
func (b *blocks[W]) put(number uint32) {
	i, inChunk := b.locate(number)
	c := &b.chunks[i]
	c.free = append(c.free, uint16(inChunk))
	if c.live == b.perChunk() {
		if n := len(b.open); n > 0 {
			b.chunks[b.open[n-1]].shrink()
		}
		b.open = append(b.open, i)
	}
	c.live--
	if i != b.open[len(b.open)-1] || b.bits == 0 {
		c.shrink() // a chunk of one block is as large as the block, and is not kept
	}
}

// shrink frees the words of a chunk if no block of it is in use.
func (c *chunk[W]) shrink() {
	if c.live == 0 {
		*c = chunk[W]{}
	}
}
