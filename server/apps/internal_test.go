package apps

import (
	"testing"

	"userkeys"
)

// TestWhoRevokedAKeyIsSaid: who finds a key revoked learns whether it was they themselves.
func TestWhoRevokedAKeyIsSaid(t *testing.T) {
	t.Parallel()
	for why, want := range map[userkeys.Ending]string{
		userkeys.EndByOwner: "you revoked it", userkeys.EndByApp: "the app itself gave its key back", userkeys.EndByAdmin: "an administrator revoked it",
	} {
		if got := because(why, userkeys.Settings{}, true); got != want {
			t.Errorf("%s: %q, want %q", why, got, want)
		}
	}
}
