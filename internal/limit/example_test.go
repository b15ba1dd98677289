package limit_test

import (
	"fmt"
	"time"

	"userkeys/internal/limit"
)

// A key that may make two requests a minute makes three, and comes back when it
// was told to.
func ExampleMemory() {
	m := limit.NewMemory(limit.MemoryConfig{})
	l := limit.Limits{Minute: 2, Day: 2880}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

	const key = 7
	for range 3 {
		d := m.Take(key, now, l)
		fmt.Println(d.OK, d.RetryAfter)
		now = now.Add(10 * time.Second)
	}
	fmt.Println(m.Take(key, now.Add(30*time.Second), l).OK)
	// Output:
	// true 0s
	// true 0s
	// false 40s
	// true
}
