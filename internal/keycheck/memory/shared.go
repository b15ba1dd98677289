package memory

import "math"

// None is the number of no value of a [Shared].
const None = math.MaxUint32

// Shared are values that many records have in common. A value has a number while at least one record holds it, so that
// records need no pointer to it.
type Shared[T any] struct {
	list    []held[T]
	numbers map[*T]uint32
	free    []uint32 // numbers that no value has
}

// held is a value, and how many records hold it.
type held[T any] struct {
	value *T
	by    int
}

// Value returns the value of a number.
func (s *Shared[T]) Value(number uint32) *T { return s.list[number].value }

// Hold notes that one more record holds a value, and returns its number.
func (s *Shared[T]) Hold(value *T) uint32 {
	number, ok := s.numbers[value]
	if !ok {
		if s.numbers == nil {
			s.numbers = make(map[*T]uint32)
		}
		if n := len(s.free); n > 0 {
			number, s.free = s.free[n-1], s.free[:n-1]
		} else {
			number = uint32(len(s.list))
			s.list = append(s.list, held[T]{})
		}
		s.list[number].value = value
		s.numbers[value] = number
	}
	s.list[number].by++
	return number
}

// Release notes that a record no longer holds the value of a number, which may be [None].
func (s *Shared[T]) Release(number uint32) {
	if number == None {
		return
	}
	h := &s.list[number]
	if h.by--; h.by == 0 {
		delete(s.numbers, h.value)
		h.value = nil
		s.free = append(s.free, number)
	}
}
