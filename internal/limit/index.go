package limit

// index finds accounts of a shard by tag. It is an open table with the tag beside each number, so that a look-up
// touches one account and growing touches none. A Go map would take twice to three times the room.
type index struct {
	table []uint64 // tag and number; 0: empty
	shift uint8    // of a tag, to its place
	n     int
}

func newIndex(bits uint8) index {
	return index{table: make([]uint64, 1<<bits), shift: 32 - bits}
}

// first returns the place where a search for tag begins.
func (x *index) first(tag uint32) int { return int(tag >> x.shift) }

// next returns the number at the next place with tag, and the place after it; 0 if there is none.
func (x *index) next(tag uint32, from int) (number uint32, next int) {
	mask := len(x.table) - 1
	for place := from & mask; x.table[place] != 0; place = (place + 1) & mask {
		if uint32(x.table[place]>>32) == tag {
			return uint32(x.table[place]), place + 1
		}
	}
	return 0, 0
}

// add stores a number.
func (x *index) add(tag, number uint32) {
	if 4*(x.n+1) > 3*len(x.table) {
		bigger := newIndex(33 - x.shift)
		for _, e := range x.table {
			if e != 0 {
				bigger.put(e)
			}
		}
		bigger.n = x.n
		*x = bigger
	}
	x.put(uint64(tag)<<32 | uint64(number))
	x.n++
}

func (x *index) put(e uint64) {
	mask := len(x.table) - 1
	place := x.first(uint32(e >> 32))
	for x.table[place] != 0 {
		place = (place + 1) & mask
	}
	x.table[place] = e
}

// remove deletes a number that is stored, and moves up those behind it that a search would no longer find.
func (x *index) remove(tag, number uint32) {
	mask := len(x.table) - 1
	gap := x.first(tag)
	for x.table[gap] != uint64(tag)<<32|uint64(number) {
		gap = (gap + 1) & mask
	}
	for next := (gap + 1) & mask; x.table[next] != 0; next = (next + 1) & mask {
		home := x.first(uint32(x.table[next] >> 32))
		if (next-home)&mask >= (next-gap)&mask {
			x.table[gap] = x.table[next]
			gap = next
		}
	}
	x.table[gap] = 0
	x.n--
}
