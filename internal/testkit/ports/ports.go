// Package ports gives tests addresses on this machine that stay theirs while nothing listens there yet.
package ports

import (
	"fmt"
	"testing"
)

// Reserve returns an address of 127.0.0.1 at which nothing listens until a program that the test starts
// does. Until the test ends the system gives its port to nobody who asks for any free port, so that tests
// side by side cannot take it from each other.
func Reserve(t testing.TB) string {
	t.Helper()
	port, release, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return fmt.Sprintf("127.0.0.1:%d", port)
}
