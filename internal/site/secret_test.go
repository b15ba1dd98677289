package site_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"userkeys"
	"userkeys/internal/site"
	"userkeys/store"
	"userkeys/store/storetest"
)

func TestReadSecret(t *testing.T) {
	t.Parallel()
	digits := strings.Repeat("0123456789abcdef", 4)
	for name, c := range map[string]struct{ text, says string }{
		"64 digits":               {digits, ""},
		"a line end":              {digits + "\n", ""},
		"of an editor of Windows": {" " + digits + "\r\n", ""},
		"capitals":                {strings.ToUpper(digits), ""},
		"more than needed":        {digits + digits, ""},
		"nothing":                 {"", "has not 64 or more hexadecimal digits"},
		"a digit too few":         {digits[1:], "has not 64 or more"},
		"62 digits":               {digits[2:], "make one with: openssl rand -hex 32"},
		"an odd number":           {digits + "0", "has not 64 or more"},
		"base64":                  {"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm", "has not 64 or more"},
		"two lines":               {digits + "\n" + digits + "\n", "has not 64 or more"},
		"NUL":                     {digits + "\x00", "has not 64 or more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, create := range []bool{false, true} { // what is there is never made anew
				secret, err := site.ReadSecret(path, create)
				if c.says == "" {
					want, _ := hex.DecodeString(strings.TrimSpace(c.text))
					if err != nil || !bytes.Equal(secret, want) || len(secret) < 32 {
						t.Errorf("%d bytes, %v", len(secret), err)
					}
					continue
				}
				if secret != nil || err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
					t.Errorf("%v; want %q and the path", err, c.says)
				} else if strings.Contains(err.Error(), "0123456789") {
					t.Errorf("the error tells the secret: %v", err)
				}
			}
			if text, err := os.ReadFile(path); err != nil || string(text) != c.text {
				t.Errorf("the file became %q, %v", text, err)
			}
		})
	}
}

func TestSecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "userkeys.secret")
	if _, err := site.ReadSecret(path, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without leave to make it: %v", err)
	}
	const programs = 20
	secrets := make([][]byte, programs)
	var all sync.WaitGroup
	for i := range programs { // that start at the same time
		all.Go(func() {
			var err error
			if secrets[i], err = site.ReadSecret(path, true); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, s := range secrets {
		if len(s) != 32 || !bytes.Equal(s, secrets[0]) || bytes.Equal(s, make([]byte, 32)) {
			t.Errorf("a program has %d bytes, the same as the first: %v", len(s), bytes.Equal(s, secrets[0]))
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("these are left: %v, %v", files, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v, %v", info, err)
	}
	if other, err := site.ReadSecret(filepath.Join(t.TempDir(), "userkeys.secret"), true); err != nil || bytes.Equal(other, secrets[0]) {
		t.Errorf("another site has the same, %v", err)
	}
}

func TestSecretWhereNoneCanBe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, path := range map[string]string{"no such folder": filepath.Join(dir, "none", "secret"), "a folder": dir} {
		if _, err := site.ReadSecret(path, true); err == nil || !strings.HasPrefix(err.Error(), "the machine secret: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAgreeOnSecret(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		first, second := []byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32))
		agree := func(secret []byte, replace bool) error { return site.AgreeOnSecret(t.Context(), st, secret, replace) }
		for range 2 {
			if err := agree(first, false); err != nil {
				t.Fatal(err)
			}
		}
		err := agree(second, false)
		if !errors.Is(err, userkeys.Conflict) || !strings.Contains(userkeys.AsError(err).Public, "--secret-file") || !strings.Contains(userkeys.AsError(err).Public, "--replace-secret") {
			t.Errorf("another secret: %v", err)
		}
		if err := agree(first, false); err != nil {
			t.Errorf("the refused one changed something: %v", err)
		}
		if err := agree(second, true); err != nil {
			t.Fatal(err)
		}
		if err := agree(second, false); err != nil {
			t.Errorf("the new one: %v", err)
		}
		if err := agree(first, false); !errors.Is(err, userkeys.Conflict) {
			t.Errorf("the old one after it: %v", err)
		}
		if have, err := st.Mark(t.Context(), "machine secret", []byte{0}); err != nil || len(have) != 32 || bytes.Contains(have, second[:8]) {
			t.Errorf("the database has %x, %v: it must have nothing to sign with", have, err)
		}
	})
}

// TestAgreeOnSecretAtOnce: of two nodes with different secrets that start at the same time, one serves.
func TestAgreeOnSecretAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() {
				errs[i] = site.AgreeOnSecret(t.Context(), st, []byte(strings.Repeat(string(rune('a'+i)), 32)), false)
			})
		}
		all.Wait()
		agreed := 0
		for _, err := range errs {
			switch {
			case err == nil:
				agreed++
			case !errors.Is(err, userkeys.Conflict):
				t.Error(err)
			}
		}
		if agreed != 1 {
			t.Errorf("%d serve", agreed)
		}
	})
}
