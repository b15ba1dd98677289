package site_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

func TestAdminKeyNumbers(t *testing.T) {
	t.Parallel()
	seen := map[userkeys.Key]bool{}
	for range 10_000 {
		k := site.NewAdminKey()
		if seen[k] {
			t.Fatal("a key came twice")
		}
		seen[k] = true
		if got, err := site.ParseAdminKey(k.Reveal()); err != nil || got != k {
			t.Fatalf("a new key is not taken: %v", err)
		}
		if _, err := userkeys.ParseKey(k.Reveal()); err == nil {
			t.Fatal("an admin API key has the shape of a user's")
		}
	}
	k := site.NewAdminKey()
	for _, verb := range []string{"%v", "%s", "%q", "%#v", "%x", "%d"} {
		if got := fmt.Sprintf(verb, k); strings.Contains(got, k.Reveal()[:8]) {
			t.Errorf("%s shows the key: %s", verb, got)
		}
	}
	if k.Hash() == site.NewAdminKey().Hash() {
		t.Error("two keys have one hash")
	}
}

func FuzzParseAdminKey(f *testing.F) {
	for _, s := range []string{"", strings.Repeat("0", 64), strings.Repeat("0", 63) + "g", strings.Repeat("A", 64), strings.Repeat("0", 63), strings.Repeat("0", 65), " " + strings.Repeat("0", 63), strings.Repeat("\u0661", 32)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := site.ParseAdminKey(s)
		if err != nil && err != error(site.ErrInvalidAdminKey) {
			t.Fatalf("another refusal: %v", err)
		}
		if err == nil && (k.Reveal() != s || len(s) != 64 || strings.ToLower(s) != s) {
			t.Fatalf("%q is taken as %q", s, k.Reveal())
		}
	})
}

// TestAdminKeyIsNarrow: whoever may do less than an administrator, or for a while only, must not make one.
func TestAdminKeyIsNarrow(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		key  site.AdminAPIKey
		want bool
	}{
		"everything":        {site.AdminAPIKey{}, false},
		"a user of its own": {site.AdminAPIKey{UserID: 1}, true},
		"named permissions": {site.AdminAPIKey{Permissions: site.AdminPermissions{site.AdminUsers}}, true},
		"an end":            {site.AdminAPIKey{ExpiresAt: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}, true},
	} {
		if got := tt.key.Narrow(); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
