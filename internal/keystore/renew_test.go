package keystore

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"userkeys"
	"userkeys/client"
)

// due is a store with a key whose renewal is due.
func due(t *testing.T, cfg Config) (Config, Account) {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	cfg.Dir, cfg.work = t.TempDir(), 5
	cfg.Now = func() time.Time { return now }
	c := credential("https://a.example", "alice")
	c.ExpiresAt, c.KeyPair = now.Add(time.Hour), testPair()
	if _, err := Open(cfg).Add(c); err != nil {
		t.Fatal(err)
	}
	all, err := Open(cfg).Accounts()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Now = func() time.Time { return now.Add(50 * time.Minute) }
	return cfg, all[0]
}

// TestOneProgramRenews: of two renewals by the same key the second would kill what the first one got.
func TestOneProgramRenews(t *testing.T) {
	t.Parallel()
	cfg, a := due(t, Config{Keeping: Plain})
	var asked atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			now, c, err := Open(cfg).Renew(t.Context(), a, func(_ context.Context, c *client.Credential) (*client.Credential, error) {
				asked.Add(1)
				time.Sleep(50 * time.Millisecond) // the others come meanwhile
				fresh := *c
				fresh.Key, fresh.ExpiresAt = "fedcba9876543210fedcba9876543210", c.ExpiresAt.Add(time.Hour)
				return &fresh, nil
			})
			if err != nil || c.Key != "fedcba9876543210fedcba9876543210" || !now.ExpiresAt.Equal(a.ExpiresAt.Add(time.Hour)) {
				t.Errorf("Renew = %+v, %v, %v", now, c, err)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("the site was asked %d times", n)
	}
}

func TestARenewalThatFailsIsNotTriedAtEveryUse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		wait time.Duration
	}{
		"a site that does not renew": {&client.APIError{Status: 404}, renewAgainLate},
		"no further":                 {&client.APIError{Status: 409}, renewAgainLate},
		"a limit":                    {&client.APIError{Status: 429}, renewAgain},
		"a site that is out":         {&client.APIError{Status: 503}, renewAgain},
		"no answer":                  {userkeys.Errorf(userkeys.Unavailable, "gone"), renewAgain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, a := due(t, Config{Keeping: Plain})
			s := Open(cfg)
			old, err := s.Credential(a)
			if err != nil || !a.RenewalDue(old, cfg.Now()) {
				t.Fatalf("not due: %v", err)
			}
			_, c, err := s.Renew(t.Context(), a, func(context.Context, *client.Credential) (*client.Credential, error) { return nil, tt.err })
			if !errors.Is(err, tt.err) || c == nil || c.Key != old.Key {
				t.Errorf("Renew = %v, %v; the old key still lives", c, err)
			}
			all, err := s.Accounts()
			if err != nil || all[0].RenewalDue(old, cfg.Now().Add(tt.wait-time.Second)) || !all[0].RenewAfter.Equal(cfg.Now().Add(tt.wait)) {
				t.Errorf("tried again after %v, %v", all[0].RenewAfter, err)
			}
		})
	}
}

// TestARenewedKeyThatCannotBeStored is returned all the same, after some tries, for which
// nobody waits who has ended the program.
func TestARenewedKeyThatCannotBeStored(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ended bool
		waits time.Duration
	}{
		"while the program goes on": {false, 6 * time.Second},
		"when the program is ended": {true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, a := due(t, Config{Keeping: Plain})
			synctest.Test(t, func(t *testing.T) {
				s, began := Open(cfg), time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				_, c, err := s.Renew(ctx, a, func(_ context.Context, c *client.Credential) (*client.Credential, error) {
					if err := os.WriteFile(s.Path(), []byte("{"), 0o600); err != nil {
						return nil, err
					}
					if tt.ended {
						cancel()
					}
					fresh := *c
					fresh.Key = "fedcba9876543210fedcba9876543210"
					return &fresh, nil
				})
				if err == nil || c == nil || c.Key != "fedcba9876543210fedcba9876543210" {
					t.Errorf("Renew = %v, %v", c, err)
				}
				if waited := time.Since(began); waited != tt.waits {
					t.Errorf("it took %v", waited)
				}
			})
		})
	}
}

func TestCurrentFindsWhatALoginPutInItsPlace(t *testing.T) {
	t.Parallel()
	cfg, a := due(t, Config{Keeping: Plain})
	c := credential(a.Site, a.Name)
	c.Key = "00112233445566778899aabbccddeeff"
	if _, err := Open(cfg).Add(c); err != nil {
		t.Fatal(err)
	}
	now, got, err := Open(cfg).Current(a)
	if err != nil || got.Key != c.Key || now.ID == a.ID {
		t.Errorf("Current = %+v, %v, %v", now, got, err)
	}
	if err := Open(cfg).Forget(now.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(cfg).Current(a); !errors.Is(err, userkeys.NotFound) {
		t.Errorf("after it was forgotten: %v", err)
	}
}

// TestTheStoreDoesNotDecryptItself: whoever changes the file must not make the next write show all keys.
func TestTheStoreDoesNotDecryptItself(t *testing.T) {
	t.Parallel()
	cfg, a := due(t, Config{Keychain: &memoryKeychain{broken: true}, Passphrase: says("correct horse")})
	s := Open(cfg)
	content, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path(), []byte(strings.Replace(string(content), `"keystore": "passphrase"`, `"keystore": "plain"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func() error{
		"Credential": func() error { _, err := s.Credential(a); return err },
		"Add":        func() error { _, err := s.Add(credential("https://b.example", "")); return err },
		"Replace":    func() error { return s.Replace(a.ID, credential(a.Site, a.Name)) },
		"Prepare":    func() error { _, err := s.Prepare(); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), "somebody changed the file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	now, err := os.ReadFile(s.Path())
	if err != nil || strings.Contains(string(now), testKey) {
		t.Errorf("the keys can be read now; %v", err)
	}
}

func TestWritesRemoveWhatDeadProgramsLeft(t *testing.T) {
	t.Parallel()
	cfg, _ := due(t, Config{Keeping: Plain})
	left := cfg.Dir + "/.keys.json-123"
	if err := os.WriteFile(left, []byte(testKey), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cfg).Add(credential("https://b.example", "")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("it is still there")
	}
}
