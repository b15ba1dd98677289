package limit

// index finds the accounts of a shard by tag. It is a hash table with open addressing. A slot holds the tag and the
// number of an account, so that a search reads only accounts with the right tag, and growing reads none. A Go map
// would take two or three times the memory.
type index struct {
	slots []uint64 // the upper half of each is a tag, the lower half a number; 0: empty
	shift uint8    // a tag shifted right by this is the slot where a search for it begins
	n     int      // how many slots are not empty
}

func newIndex(bits uint8) index {
	return index{slots: make([]uint64, 1<<bits), shift: 32 - bits}
}

// home returns the slot where a search for tag begins.
func (x *index) home(tag uint32) int { return int(tag >> x.shift) }

// next searches from a slot on. It returns the first number with tag, and the slot after it; 0 if there is none.
func (x *index) next(tag uint32, from int) (number uint32, after int) {
	mask := len(x.slots) - 1
	for slot := from & mask; x.slots[slot] != 0; slot = (slot + 1) & mask {
		if uint32(x.slots[slot]>>32) == tag {
			return uint32(x.slots[slot]), slot + 1
		}
	}
	return 0, 0
}

// add stores the number of an account with tag. If three quarters of the slots would be taken, it doubles them first.
func (x *index) add(tag, number uint32) {
	if 4*(x.n+1) > 3*len(x.slots) {
		bigger := newIndex(33 - x.shift)
		for _, e := range x.slots {
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
	mask := len(x.slots) - 1
	slot := x.home(uint32(e >> 32))
	for x.slots[slot] != 0 {
		slot = (slot + 1) & mask
	}
	x.slots[slot] = e
}

// remove deletes a number that is stored. Entries after it that a search would no longer find move up.
func (x *index) remove(tag, number uint32) {
	mask := len(x.slots) - 1
	gap := x.home(tag)
	for x.slots[gap] != uint64(tag)<<32|uint64(number) {
		gap = (gap + 1) & mask
	}
	for next := (gap + 1) & mask; x.slots[next] != 0; next = (next + 1) & mask {
		home := x.home(uint32(x.slots[next] >> 32))
		if (next-home)&mask >= (next-gap)&mask {
			x.slots[gap] = x.slots[next]
			gap = next
		}
	}
	x.slots[gap] = 0
	x.n--
}
