package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
)

func newKeyStore(t *testing.T) *keyStore {
	t.Helper()
	return &keyStore{dir: filepath.Join(t.TempDir(), "a", "b"), now: time.Now}
}

func TestKeyFileIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other permissions")
	}
	s := newKeyStore(t)
	if err := s.add(storedKey{Site: "https://a.example", Key: appTestKey}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{s.path(): 0o600, s.dir: 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(name), got, want)
		}
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the file stands %v, %v", entries, err)
	}
	if err := os.Chmod(s.path(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.load(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others read is loaded: %v", err)
	}
}

func TestKeyFileLosesNoKeyToAnotherCommand(t *testing.T) {
	t.Parallel()
	s := newKeyStore(t)
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := s.add(storedKey{Site: fmt.Sprintf("https://%d.example", i), Key: appTestKey}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if k, err := s.load(); err != nil || len(k.Keys) != n {
		t.Errorf("%d of %d keys are there, %v", len(k.Keys), n, err)
	}
}

func TestKeyFileOutlivesADeadCommandsLock(t *testing.T) {
	t.Parallel()
	s := newKeyStore(t)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lock := s.path() + ".lock"
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(lock, old, old); err != nil {
		t.Fatal(err)
	}
	if err := s.add(storedKey{Site: "https://a.example"}); err != nil {
		t.Error(err)
	}
}

func TestKeyFileThatIsDamagedIsNotOverwritten(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"no JSON": "key=" + appTestKey, "a later version": `{"version":2}`, "empty": "", "another program's": `{"keys":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newKeyStore(t)
			if err := os.MkdirAll(s.dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(s.path(), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			err := s.add(storedKey{Site: "https://a.example"})
			if err == nil || strings.Contains(err.Error(), appTestKey) {
				t.Errorf("add = %v, want a refusal that quotes nothing", err)
			}
			if got, rerr := os.ReadFile(s.path()); rerr != nil || string(got) != content {
				t.Errorf("the file now holds %q, %v", got, rerr)
			}
		})
	}
}

func TestFindPrefersTheDeeperSite(t *testing.T) {
	t.Parallel()
	k := keyFile{Keys: []storedKey{
		{Site: "https://a.example", Key: "x", Scopes: userkeys.Scopes{"read"}}, {Site: "https://a.example/forum", Key: "y"},
	}}
	tests := []struct{ target, site, path string }{
		{"https://a.example/forum/t/1?a=%2F", "https://a.example/forum", "/t/1?a=%2F"},
		{"https://a.example/forum", "https://a.example/forum", "/"},
		{"https://a.example/forums", "https://a.example", "/forums"},
		{"https://A.example:443", "https://a.example", "/"},
	}
	for _, tt := range tests {
		got, path, err := k.find("", tt.target)
		if err != nil || got.Site != tt.site || path != tt.path {
			t.Errorf("find(%q) = %s, %s, %v; want %s, %s", tt.target, got.Site, path, err, tt.site, tt.path)
		}
	}
}
