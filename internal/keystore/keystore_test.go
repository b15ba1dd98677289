package keystore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/client"
)

const testKey = "0123456789abcdef0123456789abcdef"

var testPair = sync.OnceValue(func() *client.KeyPair {
	k, err := client.NewKeyPair(2048)
	if err != nil {
		panic(err)
	}
	return k
})

// memoryKeychain is a keychain of the test's own; broken, it answers nothing.
type memoryKeychain struct {
	mu     sync.Mutex
	items  map[string]string
	broken bool
}

func (k *memoryKeychain) Get(service, name string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken {
		return "", errors.New("no keychain here")
	}
	s, ok := k.items[service+"/"+name]
	if !ok {
		return "", errNoSecret
	}
	return s, nil
}

func (k *memoryKeychain) Set(service, name, secret string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken {
		return errors.New("no keychain here")
	}
	if k.items == nil {
		k.items = map[string]string{}
	}
	k.items[service+"/"+name] = secret
	return nil
}

func says(text string) func(bool) (string, error) {
	return func(bool) (string, error) { return text, nil }
}

func credential(site, name string) *client.Credential {
	return &client.Credential{Site: site, Username: name, Key: testKey, ClientID: "c1", Scopes: userkeys.Scopes{"read"}, API: 4, Padding: userkeys.PaddingOAEP}
}

// TestStore is what every keeping does.
func TestStore(t *testing.T) {
	t.Parallel()
	keepings := map[Keeping]Config{
		InKeychain:      {Keychain: &memoryKeychain{}},
		UnderPassphrase: {Keychain: &memoryKeychain{broken: true}, Passphrase: says("correct horse"), work: 5},
		Plain:           {Keychain: &memoryKeychain{broken: true}, Keeping: Plain},
	}
	for keeping, cfg := range keepings {
		t.Run(string(keeping), func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
			cfg.Dir, cfg.Now = filepath.Join(t.TempDir(), "a", "b"), func() time.Time { return now }
			open := func() *Store { return Open(cfg) } // a new program each time
			if got, err := open().Prepare(); err != nil || got != keeping {
				t.Fatalf("Prepare = %s, %v; want %s", got, err, keeping)
			}
			ends := now.Add(time.Hour).UTC().Truncate(time.Second)
			first := credential("https://b.example", "alice")
			first.ExpiresAt, first.KeyPair = ends, testPair()
			for _, c := range []*client.Credential{first, credential("https://b.example", "bob"), credential("https://a.example", "")} {
				if replaced, err := open().Add(c); err != nil || replaced != nil {
					t.Fatalf("Add = %v, %v", replaced, err)
				}
			}
			all, err := open().Accounts()
			if err != nil || all.list() != "https://a.example, alice on https://b.example, bob on https://b.example" {
				t.Fatalf("accounts %s, %v", all.list(), err)
			}
			got, err := open().Credential(all[1])
			if err != nil {
				t.Fatal(err)
			}
			same := cmp.Comparer(func(a, b *client.KeyPair) bool { return string(a.PrivatePEM()) == string(b.PrivatePEM()) })
			if diff := cmp.Diff(first, got, same); diff != "" {
				t.Errorf("credential (-want +got):\n%s", diff)
			}
			if bob, err := open().Credential(all[2]); err != nil || bob.KeyPair != nil {
				t.Errorf("a key pair without use was kept: %v", err)
			}

			again := credential("https://b.example", "alice")
			again.Key = "fedcba9876543210fedcba9876543210"
			if replaced, err := open().Add(again); err != nil || replaced == nil || replaced.Key != testKey {
				t.Errorf("the replaced key: %v, %v", replaced, err)
			}
			if _, err := open().Credential(all[1]); !errors.Is(err, userkeys.NotFound) {
				t.Errorf("a replaced account: %v", err)
			}
			all, _ = open().Accounts()
			renewed := credential("https://b.example", "alice")
			renewed.Key, renewed.ExpiresAt = "00112233445566778899aabbccddeeff", ends.Add(time.Hour)
			now = now.Add(time.Minute)
			if err := open().Replace(all[1].ID, renewed); err != nil {
				t.Fatal(err)
			}
			if got, err := open().Credential(all[1]); err != nil || got.Key != renewed.Key || !got.ExpiresAt.Equal(renewed.ExpiresAt) {
				t.Errorf("the renewed key: %v, %v", got, err)
			}
			if err := open().Used(all[1].ID); err != nil {
				t.Fatal(err)
			}
			if err := open().Forget(all[2].ID); err != nil {
				t.Fatal(err)
			}
			if err := open().Forget(all[2].ID); err != nil {
				t.Errorf("forgotten twice: %v", err)
			}
			all, err = open().Accounts()
			if err != nil || len(all) != 2 || all[1].LastUsedAt.Unix() != now.Unix() || all[1].CreatedAt.Unix() != now.Unix() {
				t.Errorf("in the end %+v, %v", all, err)
			}
			content, err := os.ReadFile(open().Path())
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{testKey, renewed.Key.Reveal(), "PRIVATE KEY"} {
				if keeping != Plain && strings.Contains(string(content), text) {
					t.Errorf("the file shows %q", text)
				}
			}
		})
	}
}

func TestStoreRefuses(t *testing.T) {
	t.Parallel()
	broken := &memoryKeychain{broken: true}
	sealed := func(t *testing.T) Config {
		cfg := Config{Dir: t.TempDir(), Keychain: broken, Passphrase: says("correct horse"), work: 5}
		if _, err := Open(cfg).Add(credential("https://a.example", "alice")); err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	tests := []struct {
		name string
		do   func(t *testing.T) error
		says string
	}{
		{"no keychain and nobody to ask", func(t *testing.T) error {
			_, err := Open(Config{Dir: t.TempDir(), Keychain: broken}).Prepare()
			return err
		}, "USERKEYS_PASSPHRASE"},
		{"an empty passphrase", func(t *testing.T) error {
			_, err := Open(Config{Dir: t.TempDir(), Keychain: broken, Passphrase: says(""), work: 5}).Prepare()
			return err
		}, "protects nothing"},
		{"another passphrase", func(t *testing.T) error {
			cfg := sealed(t)
			cfg.Passphrase = says("wrong")
			_, err := Open(cfg).Add(credential("https://b.example", ""))
			return err
		}, "not the passphrase"},
		{"a keychain that lost its secret", func(t *testing.T) error {
			cfg := Config{Dir: t.TempDir(), Keychain: &memoryKeychain{}}
			if _, err := Open(cfg).Add(credential("https://a.example", "")); err != nil {
				t.Fatal(err)
			}
			cfg.Keychain = &memoryKeychain{}
			_, err := Open(cfg).Prepare()
			return err
		}, "does not give the secret"},
		{"a key that was pointed to another site", func(t *testing.T) error {
			cfg := sealed(t)
			s := Open(cfg)
			if err := s.update(func(f *keysFile) error { f.Accounts[0].Site = "https://evil.example"; return nil }); err != nil {
				t.Fatal(err)
			}
			all, err := s.Accounts()
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Credential(all[0])
			return err
		}, "somebody changed the file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.do(t); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %q", err, tt.says)
			}
		})
	}
}

func TestStoreChangesItsKeeping(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), Keychain: &memoryKeychain{}, Passphrase: says("correct horse"), work: 5, Keeping: Plain}
	if _, err := Open(cfg).Add(credential("https://a.example", "alice")); err != nil {
		t.Fatal(err)
	}
	for _, k := range []Keeping{UnderPassphrase, InKeychain, Plain, InKeychain, "", UnderPassphrase} {
		cfg.Keeping = k
		kept, err := Open(cfg).Prepare()
		if err != nil || k != "" && kept != k {
			t.Fatalf("to %s: %s, %v", k, kept, err)
		}
		all, err := Open(cfg).Accounts()
		if err != nil {
			t.Fatal(err)
		}
		if c, err := Open(cfg).Credential(all[0]); err != nil || c.Key != testKey {
			t.Errorf("in %s: %v, %v", k, c, err)
		}
	}
}

// TestStoreBehindALink: people keep their settings in another folder, perhaps an encrypted one.
func TestStoreBehindALink(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("links need a right there")
	}
	for name, link := range map[string]func(t *testing.T, dir, target string) string{
		"an absolute link": func(_ *testing.T, _, target string) string { return target },
		"a relative link": func(t *testing.T, dir, target string) string {
			return filepath.Join(must(filepath.Rel(dir, filepath.Dir(target)))(t), filepath.Base(target))
		},
		"a link to a link": func(t *testing.T, dir, target string) string {
			if err := os.Symlink(target, filepath.Join(dir, "between")); err != nil {
				t.Fatal(err)
			}
			return "between"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, target := t.TempDir(), filepath.Join(t.TempDir(), "mine.json")
			s := Open(Config{Dir: dir, Keeping: Plain})
			to := link(t, dir, target)
			if err := os.Symlink(to, s.Path()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Add(credential("https://a.example", "alice")); err != nil { // the target is made
				t.Fatal(err)
			}
			if _, err := s.Add(credential("https://b.example", "alice")); err != nil { // and replaced
				t.Fatal(err)
			}
			if now, err := os.Readlink(s.Path()); err != nil || now != to {
				t.Errorf("the link leads to %q, %v; it led to %q", now, err, to)
			}
			text, err := os.ReadFile(target)
			if err != nil || !strings.Contains(string(text), "https://b.example") {
				t.Errorf("the target holds %q, %v", text, err)
			}
			if left := must(filepath.Glob(filepath.Join(filepath.Dir(target), "*")))(t); len(left) != 2 { // the file and its lock
				t.Errorf("left over: %q", left)
			}
		})
	}
	t.Run("into a folder that is not mounted", func(t *testing.T) {
		t.Parallel()
		dir, away := t.TempDir(), filepath.Join(t.TempDir(), "volume")
		s := Open(Config{Dir: dir, Keeping: Plain})
		if err := os.Symlink(filepath.Join(away, "keys.json"), s.Path()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Add(credential("https://a.example", "alice")); err == nil || !strings.Contains(err.Error(), "not there") {
			t.Errorf("stored: %v", err)
		}
		if _, err := os.Stat(away); err == nil {
			t.Error("the folder was made")
		}
	})
}

// must gives the value, or ends the test.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// silentKeychain never answers while the test runs.
type silentKeychain chan struct{}

func (k silentKeychain) Get(string, string) (string, error) {
	<-k
	return "", errors.New("the test is over")
}

func (k silentKeychain) Set(string, string, string) error { <-k; return nil }

// TestKeychainThatHangs: a person who logs in for the first time waits three seconds for a session bus that does not answer.
func TestKeychainThatHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		k := make(silentKeychain)
		defer close(k)
		begun := time.Now()
		keeping, err := Open(Config{Dir: dir, Keychain: k, Passphrase: says("correct horse"), work: 5}).Prepare()
		if took := time.Since(begun); err != nil || keeping != UnderPassphrase || took != 3*time.Second {
			t.Errorf("kept by %q after %v, %v", keeping, took, err)
		}
	})
}

// TestNoSessionBusIsStarted sets the environment, so it does not run in parallel.
func TestNoSessionBusIsStarted(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("keychains need no session bus there")
	}
	if _, err := os.Stat("/run/user/" + strconv.Itoa(os.Getuid()) + "/bus"); err == nil {
		t.Skip("there is a session bus for every program of this person")
	}
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	if err := os.WriteFile(filepath.Join(dir, "dbus-launch"), []byte("#!/bin/sh\n: > "+started+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	if _, err := (SystemKeychain{}).Get("userkeys", "a test"); err == nil {
		t.Error("a keychain answers")
	}
	if _, err := os.Stat(started); err == nil {
		t.Error("a session bus was started")
	}
}

func TestStoreIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other permissions")
	}
	s := Open(Config{Dir: filepath.Join(t.TempDir(), "a"), Keeping: Plain})
	if _, err := s.Add(credential("https://a.example", "")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(s.cfg.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(s.Path(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Accounts(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others read is loaded: %v", err)
	}
}

func TestStoreLosesNoKeyToAnotherProgram(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: t.TempDir(), Keeping: Plain}
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := Open(cfg).Add(credential(fmt.Sprintf("https://%d.example", i), "")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if all, err := Open(cfg).Accounts(); err != nil || len(all) != n {
		t.Errorf("%d of %d keys are there, %v", len(all), n, err)
	}
}

func TestStoreThatIsDamagedIsNotOverwritten(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"no JSON": "key=" + testKey, "a later version": `{"version":9}`, "empty": "", "another program's": `{"accounts":{}}`,
		"two values": `{"version":2}{"version":2}`, "too large": strings.Repeat(" ", maxStoreBytes) + `{"version":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Open(Config{Dir: t.TempDir(), Keeping: Plain})
			if err := os.WriteFile(s.Path(), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := s.Add(credential("https://a.example", ""))
			if err == nil || strings.Contains(err.Error(), testKey) {
				t.Errorf("Add = %v, want a refusal that quotes nothing", err)
			}
			if got, rerr := os.ReadFile(s.Path()); rerr != nil || string(got) != content {
				t.Errorf("the file now holds %.50q, %v", got, rerr)
			}
		})
	}
}

func TestTwoLoginsToOneSite(t *testing.T) {
	t.Parallel()
	s := Open(Config{Dir: t.TempDir(), Keeping: Plain})
	done, err := s.LockLogin("https://a.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.LockLogin("https://a.example"); !errors.Is(err, userkeys.Conflict) {
		t.Errorf("a second login: %v", err)
	}
	other, err := s.LockLogin("https://b.example")
	if err != nil {
		t.Fatal(err)
	}
	other()
	done()
	if done, err = s.LockLogin("https://a.example"); err != nil {
		t.Fatal(err)
	}
	done()
}

func TestAccountsFor(t *testing.T) {
	t.Parallel()
	all := Accounts{
		{Site: "https://a.example", Name: "alice"},
		{Site: "https://a.example/forum", Name: "carol"},
		{Site: "http://b.example", Name: "alice"},
		{Site: "http://b.example", Name: "bob"},
		{Site: "https://d.example"},
		{Site: "https://d.example", Name: "alice"},
	}
	tests := []struct{ name, site, account, target, want, path, says string }{
		{name: "an address in the deeper folder", target: "https://a.example/forum/t/1?a=%2F", want: "carol on https://a.example/forum", path: "/t/1?a=%2F"},
		{name: "the folder itself", target: "https://a.example/forum", want: "carol on https://a.example/forum", path: "/"},
		{name: "a folder that begins alike", target: "https://a.example/forums", want: "alice on https://a.example", path: "/forums"},
		{name: "another spelling", target: "https://A.example:443", want: "alice on https://a.example", path: "/"},
		{name: "an account of an address", target: "http://b.example/x", account: "bob", want: "bob on http://b.example", path: "/x"},
		{name: "a site without its scheme", site: "b.example", account: "alice", target: "/x", want: "alice on http://b.example", path: "/x"},
		{name: "account and site in one", site: "bob@b.example", target: "/x", want: "bob on http://b.example", path: "/x"},
		{name: "several accounts", site: "b.example", target: "/x", says: "as in alice@forum.example: alice on http://b.example, bob on http://b.example"},
		{name: "one without a name beside others", site: "d.example", target: "/x", says: "by --account (--account - is the one without a name), or as in alice@forum.example: https://d.example, alice on https://d.example"},
		{name: "the one without a name", site: "d.example", account: "-", target: "/x", want: "https://d.example", path: "/x"},
		{name: "the one without a name, in one", site: "-@d.example", target: "/x", want: "https://d.example", path: "/x"},
		{name: "the one with a name", site: "d.example", account: "alice", target: "/x", want: "alice on https://d.example", path: "/x"},
		{name: "none without a name", site: "b.example", account: "-", target: "/x", says: "no account -"},
		{name: "several sites", target: "/x", says: "several keys"},
		{name: "no such account", site: "b.example", account: "eve", target: "/x", says: "no account eve"},
		{name: "no such site", site: "c.example", target: "/x", says: "no key for https://c.example"},
		{name: "an address of no site", target: "https://c.example/x", says: "no key for https://c.example"},
		{name: "site and address", site: "b.example", target: "http://b.example/x", says: "not both"},
		{name: "no path", target: "x", says: "no path"},
		{name: "a site that is none", site: "ftp://x", target: "/x", says: "begins with https"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, path, err := all.For(tt.site, tt.account, tt.target)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v, want %q", err, tt.says)
				}
				return
			}
			if err != nil || a.String() != tt.want || path != tt.path {
				t.Errorf("For = %s, %s, %v; want %s, %s", a, path, err, tt.want, tt.path)
			}
		})
	}
	if _, _, err := (Accounts{}).For("", "", "/x"); err == nil || !strings.Contains(err.Error(), "userkeys login") {
		t.Errorf("without any: %v", err)
	}
}
