package wiring_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/wiring"
	"userkeys/site"
	"userkeys/store"
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
			st := dbtest.SQLite(t)
			for _, read := range []func() ([]byte, error){
				func() ([]byte, error) { return wiring.ReadSecret(path) },
				func() ([]byte, error) { return wiring.OpenSecret(t.Context(), st, ownFile(path)) }, // what is there is never made anew
			} {
				secret, err := read()
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

// ownFile is the file in --data, of one who logs nowhere.
func ownFile(path string) wiring.SecretFile {
	return wiring.SecretFile{
		Path: path, Own: true, Caller: testkit.Command, Now: func() time.Time { return time.Unix(1, 0) }, Logger: slog.New(slog.DiscardHandler),
	}
}

func TestSecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "userkeys.secret")
	if _, err := wiring.ReadSecret(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without leave to make it: %v", err)
	}
	st := dbtest.SQLite(t)
	const programs = 20
	secrets := make([][]byte, programs)
	var all sync.WaitGroup
	for i := range programs { // that start at the same time
		all.Go(func() {
			var err error
			if secrets[i], err = wiring.OpenSecret(t.Context(), st, ownFile(path)); err != nil {
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
	if other, err := wiring.OpenSecret(t.Context(), dbtest.SQLite(t), ownFile(filepath.Join(t.TempDir(), "userkeys.secret"))); err != nil || bytes.Equal(other, secrets[0]) {
		t.Errorf("another site has the same, %v", err)
	}
}

func TestSecretWhereNoneCanBe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	st := dbtest.SQLite(t)
	for name, path := range map[string]string{"no such folder": filepath.Join(dir, "none", "secret"), "a folder": dir} {
		if _, err := wiring.OpenSecret(t.Context(), st, ownFile(path)); err == nil || !strings.HasPrefix(err.Error(), "the machine secret: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSecretThatIsLost: the file of a site that had one is not made anew but on demand, so the right one can
// still be put back.
func TestSecretThatIsLost(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		dir := t.TempDir()
		file := ownFile(filepath.Join(dir, "userkeys.secret"))
		open := func() ([]byte, error) { return wiring.OpenSecret(t.Context(), st, file) }
		first, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file.Path, file.Path+".away"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, err := open()
			if !errors.Is(err, userkeys.Conflict) || !strings.Contains(userkeys.AsError(err).Public, "put "+file.Path+" back") {
				t.Errorf("it is missing: %v", err)
			}
			if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
				t.Errorf("made: %v, %v", files, err)
			}
		}
		if err := os.Rename(file.Path+".away", file.Path); err != nil {
			t.Fatal(err)
		}
		if again, err := open(); err != nil || !bytes.Equal(again, first) {
			t.Errorf("put back: %v", err)
		}
		if err := os.Remove(file.Path); err != nil {
			t.Fatal(err)
		}
		file.Replace = true
		second, err := open()
		if err != nil || bytes.Equal(second, first) {
			t.Fatalf("replaced: %v", err)
		}
		file.Replace = false
		if again, err := open(); err != nil || !bytes.Equal(again, second) {
			t.Errorf("after it was replaced: %v", err)
		}
		events, err := st.AuditEvents(t.Context(), site.AuditFilter{})
		if err != nil || len(events) != 1 || events[0].Action != "machine secret replaced" || events[0].Caller.Kind() != site.CallerCommand {
			t.Errorf("the log has %+v, %v", events, err)
		}
	})
}

// TestSecretThatALinkLeadsTo nowhere is not made, neither here nor there.
func TestSecretThatALinkLeadsTo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := ownFile(filepath.Join(dir, "userkeys.secret"))
	if err := os.Symlink(filepath.Join(dir, "nowhere"), file.Path); err != nil {
		t.Skip(err)
	}
	st := dbtest.SQLite(t)
	for _, file.Replace = range []bool{false, true} {
		if _, err := wiring.OpenSecret(t.Context(), st, file); err == nil || !strings.Contains(err.Error(), file.Path+" is a link to ") || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%v", err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("made: %v, %v", files, err)
	}
}

// TestSecretThatOthersCanRead is used, with a warning; one of --secret-file may have to be so.
func TestSecretThatOthersCanRead(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the mode of a file says nothing there")
	}
	st := dbtest.SQLite(t)
	path := filepath.Join(t.TempDir(), "userkeys.secret")
	if err := os.WriteFile(path, []byte(strings.Repeat("0123456789abcdef", 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode os.FileMode
		own  bool
		warn bool
	}{{0o600, true, false}, {0o400, true, false}, {0o640, true, true}, {0o604, true, true}, {0o602, true, true}, {0o444, false, false}} {
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		file := ownFile(path)
		file.Own, file.Logger = c.own, slog.New(slog.NewTextHandler(&log, nil))
		if _, err := wiring.OpenSecret(t.Context(), st, file); err != nil {
			t.Errorf("%o: %v", c.mode, err)
		}
		if warned := strings.Contains(log.String(), fmt.Sprintf("mode=%04o", c.mode)); warned != c.warn || strings.Contains(log.String(), "0123456789") {
			t.Errorf("%o, the site's own %v: the log has %q", c.mode, c.own, log.String())
		}
	}
}

func TestAgreeOnSecret(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		first, second := []byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32))
		agree := func(secret []byte) error { return wiring.AgreeOnSecret(t.Context(), st, secret) }
		for range 2 {
			if err := agree(first); err != nil {
				t.Fatal(err)
			}
		}
		err := agree(second)
		if !errors.Is(err, userkeys.Conflict) || !strings.Contains(userkeys.AsError(err).Public, "--secret-file") || !strings.Contains(userkeys.AsError(err).Public, "--replace-secret") {
			t.Errorf("another secret: %v", err)
		}
		if err := agree(first); err != nil {
			t.Errorf("the refused one changed something: %v", err)
		}
		if err := wiring.ReplaceSecret(t.Context(), st, second, testkit.Command.At(time.Unix(1, 0))); err != nil {
			t.Fatal(err)
		}
		if err := agree(second); err != nil {
			t.Errorf("the new one: %v", err)
		}
		if err := agree(first); !errors.Is(err, userkeys.Conflict) {
			t.Errorf("the old one after it: %v", err)
		}
		if have, err := st.Agree(t.Context(), "machine secret", []byte{0}); err != nil || len(have) != 32 || bytes.Contains(have, second[:8]) {
			t.Errorf("the database has %x, %v: it must have nothing to sign with", have, err)
		}
	})
}

// TestAgreeOnSecretAtOnce: of two nodes with different secrets that start at the same time, one serves.
func TestAgreeOnSecretAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, st *store.Store) {
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() {
				errs[i] = wiring.AgreeOnSecret(t.Context(), st, []byte(strings.Repeat(string(rune('a'+i)), 32)))
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
