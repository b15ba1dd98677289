package authority

import (
	"strconv"
	"testing"

	"userkeys/internal/testkit/dbtest"
)

// TestStrangersCannotChooseTheirCount: who knows which subject has which number could crowd one place of the limiter,
// or spend the count of somebody else.
func TestStrangersCannotChooseTheirCount(t *testing.T) {
	t.Parallel()
	open := func() *Authority {
		a, err := New(t.Context(), ConfigOf(dbtest.SQLite(t)))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	one, two := open(), open()
	seen := map[int64]bool{}
	for i := range 1000 {
		subject := "2001:db8:0:" + strconv.Itoa(i) + "::/64"
		id := one.strangerID(devicePolls, subject)
		if id == two.strangerID(devicePolls, subject) {
			t.Fatalf("%s has the number %d in every process", subject, id)
		}
		if id == one.strangerID(deviceCreates, subject) || id != one.strangerID(devicePolls, subject) || seen[id] {
			t.Fatalf("%s shares the number %d", subject, id)
		}
		seen[id] = true
	}
}
