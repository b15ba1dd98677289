package accounts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"userkeys/internal/password"

	"github.com/google/go-cmp/cmp"

	"userkeys"
)

// twin invents a name that has the first digits of a plain digest in common
// with name, as anybody can who knows how a counter is chosen.
func twin(name string) string {
	digest := func(name string) string {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s", len(name), name))
		return hex.EncodeToString(sum[:])[:3]
	}
	for i := 0; ; i++ {
		if invented := fmt.Sprintf("zz%d", i); digest(invented) == digest(name) {
			return invented
		}
	}
}

// TestLG1_Twins_tell_nothing: six failures of an invented name made the next try of a name that nobody has wait, and
// not that of a name that somebody has.
func TestLG1_Twins_tell_nothing(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		s.add("alice")
		for i, name := range []string{"alice", "mallory", "peter", "paula"} {
			b := s.browser(address(i))
			for range password.FreeTries + 1 {
				_, _ = b.login(twin(name), "not this one at all")
			}
			_, err := b.login(name, "not this one at all")
			wantCode(t, err, userkeys.InvalidCredentials)
		}
	})
}

// TestLG1_Name_and_address_are_not_linked: what was tried by the user name tells nothing of the e-mail address.
func TestLG1_Name_and_address_are_not_linked(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		s.add("alice")
		for i, other := range []string{"alice@example.org", "alice@elsewhere.example", "bob"} {
			b := s.browser(address(i))
			for range password.FreeTries + 1 {
				_, _ = b.login("alice", "not this one at all")
			}
			_, err := b.login(other, "not this one at all")
			wantCode(t, err, userkeys.InvalidCredentials)
		}
	})
}

// TestLG1_Known_and_unknown_names_are_charged_alike compares every answer to
// many tries with that to a name that nobody has.
func TestLG1_Known_and_unknown_names_are_charged_alike(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store testStore) {
		s := newSite(t, store)
		s.add("alice")
		began := s.clock.Now()
		answers := func(name string, from int) (out []string) {
			s.clock.advance(time.Hour) // each begins with a window of its own
			for i := range 60 {
				_, err := s.browser(address(from)).login(name, "not this one at all")
				e := userkeys.AsError(err)
				out = append(out, fmt.Sprintf("%d: %s, wait %v", i, e.Code, e.RetryAfter))
				s.clock.advance(time.Duration(i%4) * 10 * time.Second)
			}
			return out
		}
		want := answers("mallory", 1)
		for i, name := range []string{"alice", "alice@example.org", "mallory@example.org"} {
			if diff := cmp.Diff(want, answers(name, 2+i)); diff != "" {
				t.Errorf("%s: -unknown +this\n%s", name, diff)
			}
		}
		if s.clock.Now().Sub(began) < 4*time.Hour {
			t.Error("no time passed")
		}
	})
}

// TestGuessesAreKeyedBySite: the names of counters are a site's own, and the same on all of its nodes.
func TestGuessesAreKeyedBySite(t *testing.T) {
	t.Parallel()
	store := newMemory()
	s := newSite(t, store)
	here := s.pairCounter("mallory", address(1))
	s.Accounts = s.node(store)
	if again := s.pairCounter("mallory", address(1)); again != here {
		t.Errorf("another node counts %s, not %s", again, here)
	}
	if there := newSite(t, newMemory()).pairCounter("mallory", address(1)); there == here {
		t.Errorf("another site has the same counter %s", here)
	}
}
