package limit

// queue is a ring of 32-bit words that lives in a block of a [pool]. It is plain
// data without pointers: the garbage collector has nothing to follow in a
// million of them. A queue of one word, which is what most keys need, has no block.
type queue struct {
	block [1]uint32 // the block's number; in class 0 the word itself
	head  uint16    // where the oldest word is
	n     uint16    // how many words there are
	class uint8     // the block has 1<<class words
}

const (
	maxClass   = 16 // holds MaxMinute
	chunkClass = 7  // blocks come from chunks of 128 words; greater ones are chunks of their own
)

// pool hands out blocks by size and takes them back.
type pool [maxClass + 1]blocks

// blocks are the blocks of one size, in chunks.
type blocks struct {
	chunks []chunk
	open   []uint32 // chunks with room; the last is used next
}

// chunk is some blocks in a row. One that is empty, and not the next to be
// used, has no words: keys that outgrow a size together leave nothing behind.
type chunk struct {
	words []uint32
	free  uint32 // a free block's number and 1; its first word is the next free one
	fresh uint16 // so many blocks were used yet
	live  uint16
}

// ring returns the words of the block of q. Their number is a power of two.
func (p *pool) ring(q *queue) []uint32 {
	if q.class == 0 {
		return q.block[:]
	}
	bits, b := chunkBits(q.class), q.block[0]
	from := (b & (1<<bits - 1)) << q.class
	return p[q.class].chunks[b>>bits].words[from : from+1<<q.class]
}

// at returns the i-th oldest word of q, whose ring is given.
func (q *queue) at(ring []uint32, i int) *uint32 {
	return &ring[(int(q.head)+i)&(len(ring)-1)]
}

// push adds the newest word, and moves q to a larger block if necessary.
func (p *pool) push(q *queue, word uint32) {
	ring := p.ring(q)
	if int(q.n) == len(ring) {
		ring = p.grow(q, ring)
	}
	q.n++
	*q.at(ring, int(q.n)-1) = word
}

// drop removes the oldest word.
func (q *queue) drop() {
	q.head = uint16((int(q.head) + 1) & (1<<q.class - 1))
	q.n--
}

// clear removes all words but keeps the block, for a key that will need it again.
func (q *queue) clear() { q.head, q.n = 0, 0 }

// release removes all words and returns the block to the pool.
func (p *pool) release(q *queue) {
	if q.class > 0 {
		p[q.class].put(q.class, q.block[0])
	}
	*q = queue{}
}

func (p *pool) grow(q *queue, old []uint32) []uint32 {
	bigger := queue{n: q.n, class: q.class + 1}
	bigger.block[0] = p[bigger.class].take(bigger.class)
	ring := p.ring(&bigger)
	k := copy(ring, old[q.head:])
	copy(ring[k:], old[:q.head])
	p.release(q)
	*q = bigger
	return p.ring(q)
}

// chunkBits returns the number of blocks of a class in a chunk, as a power of two.
func chunkBits(class uint8) uint8 { return chunkClass - min(class, chunkClass) }

func (s *blocks) take(class uint8) uint32 {
	bits := chunkBits(class)
	if len(s.open) == 0 {
		s.open = append(s.open, uint32(len(s.chunks)))
		s.chunks = append(s.chunks, chunk{})
	}
	i := s.open[len(s.open)-1]
	c := &s.chunks[i]
	if c.words == nil {
		c.words = make([]uint32, 1<<(class+bits))
	}
	b := uint32(c.fresh)
	if c.free > 0 {
		b = c.free - 1
		c.free = c.words[b<<class]
	} else {
		c.fresh++
	}
	if c.live++; c.live == 1<<bits {
		s.open = s.open[:len(s.open)-1]
	}
	return i<<bits | b
}

func (s *blocks) put(class uint8, block uint32) {
	bits := chunkBits(class)
	i, b := block>>bits, block&(1<<bits-1)
	c := &s.chunks[i]
	c.words[b<<class], c.free = c.free, b+1
	if c.live == 1<<bits {
		if n := len(s.open); n > 0 {
			s.chunks[s.open[n-1]].shrink()
		}
		s.open = append(s.open, i)
	}
	c.live--
	if i != s.open[len(s.open)-1] || class > chunkClass {
		c.shrink() // also a burst's great block
	}
}

// shrink frees the words of an empty chunk.
func (c *chunk) shrink() {
	if c.live == 0 {
		*c = chunk{}
	}
}
