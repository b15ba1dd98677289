package limit

// index finds keys of a shard by id. It is an open table with the hash beside
// each number, so that a look-up touches one key and growing touches none. A Go map
// would take twice to three times the room.
type index struct {
	table []uint64 // hash and number; 0: empty
	shift uint8    // of a hash, to its place
	n     int
}

// hash distributes ids, also consecutive ones. The database assigns ids, so nobody can choose ids that collide.
func hash(id int64) uint64 { return uint64(id) * 0x9E3779B97F4A7C15 }

// tag returns the part of the hash that the index uses. The bits above it choose the shard.
func tag(id int64) uint32 { return uint32(hash(id) >> (32 - maxShardBits)) }

func newIndex(bits uint8) index {
	return index{table: make([]uint64, 1<<bits), shift: 32 - bits}
}

// find returns the place of id in the table, or the place where it would be stored; then the number is 0.
func (x *index) find(id int64, s *shard) (place int, number uint32) {
	t, mask := tag(id), len(x.table)-1
	for place = int(t >> x.shift); x.table[place] != 0; place = (place + 1) & mask {
		number = uint32(x.table[place])
		if uint32(x.table[place]>>32) == t && s.key(number).id == id {
			return place, number
		}
	}
	return place, 0
}

// add stores an id that is not in the index.
func (x *index) add(id int64, number uint32, s *shard) {
	if 4*(x.n+1) > 3*len(x.table) {
		x.grow()
	}
	place, _ := x.find(id, s)
	x.table[place] = uint64(tag(id))<<32 | uint64(number)
	x.n++
}

func (x *index) grow() {
	bigger := newIndex(33 - x.shift)
	bigger.n = x.n
	mask := len(bigger.table) - 1
	for _, e := range x.table {
		if e == 0 {
			continue
		}
		place := int(e >> 32 >> bigger.shift)
		for bigger.table[place] != 0 {
			place = (place + 1) & mask
		}
		bigger.table[place] = e
	}
	*x = bigger
}

// remove deletes an id, and moves up the ids behind it that a search would no longer find.
func (x *index) remove(id int64, s *shard) {
	gap, number := x.find(id, s)
	if number == 0 {
		return
	}
	mask := len(x.table) - 1
	for next := (gap + 1) & mask; x.table[next] != 0; next = (next + 1) & mask {
		home := int(x.table[next] >> 32 >> x.shift)
		if (next-home)&mask >= (next-gap)&mask {
			x.table[gap] = x.table[next]
			gap = next
		}
	}
	x.table[gap] = 0
	x.n--
}
