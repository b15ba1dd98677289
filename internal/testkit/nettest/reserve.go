package nettest

import (
	"fmt"
	"testing"
)

// ReserveAddress returns an address of 127.0.0.1 at which nothing listens until a program that the test starts
// listens there. Until the test ends the system gives its port to no program that asks for any free port, so
// that tests that run side by side cannot take it from each other.
func ReserveAddress(t testing.TB) string {
	t.Helper()
	port, release, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return fmt.Sprintf("127.0.0.1:%d", port)
}
