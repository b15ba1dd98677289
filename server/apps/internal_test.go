package apps

import (
	"testing"

	"userkeys/site"
)

// TestWhoRevokedAKeyIsSaid: who finds a key revoked learns whether it was they themselves.
func TestWhoRevokedAKeyIsSaid(t *testing.T) {
	t.Parallel()
	for why, want := range map[site.Ending]string{
		site.EndByOwner: "you revoked it", site.EndByApp: "the app itself gave its key back", site.EndByAdmin: "an administrator revoked it",
	} {
		if got := because(why, site.Settings{}, true); got != want {
			t.Errorf("%s: %q, want %q", why, got, want)
		}
	}
}
