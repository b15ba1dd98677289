package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"userkeys/store"
)

// migrateEnv makes the test program migrate the file it names, and nothing else.
const migrateEnv = "USERKEYS_TEST_MIGRATE"

func TestMain(m *testing.M) {
	if path := os.Getenv(migrateEnv); path != "" {
		if err := migrateFile(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func migrateFile(path string) error {
	db, err := sql.Open("sqlite", store.SQLiteDSN(path))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := store.Open(ctx, db, store.SQLite)
	if err != nil {
		return err
	}
	_, err = s.Migrate(ctx)
	return err
}

// TestF12MigrationKilled tests F12: kill -9 while the schema is made leaves each step of it whole or not there.
func TestF12MigrationKilled(t *testing.T) {
	t.Parallel()
	killed, done := 0, 0
	for i := range 20 {
		path := filepath.Join(t.TempDir(), "userkeys.db")
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), migrateEnv+"="+path)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// From the moment the file is there the schema is being made.
		for n := 0; n < 5000; n++ {
			if _, err := os.Stat(path); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(rand.N(20 * time.Millisecond))
		if err := c.Process.Kill(); err != nil && i == 0 {
			t.Log(err) // it was faster
		}
		if c.Wait() != nil {
			killed++
		}

		db := openSQLite(t, store.SQLiteDSN(path))
		s, err := store.Open(t.Context(), db, store.SQLite)
		if err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		have, want, err := s.SchemaVersion(t.Context())
		if err != nil || have < 0 || have > want { // each step is whole or not there
			t.Fatalf("round %d: version %d of %d, error %v", i, have, want, err)
		}
		if have == want {
			done++
		}
		if _, err := s.Migrate(t.Context()); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Errorf("round %d: %v", i, err)
		}
		makeKey(t, s, makeUser(t, s, "ada").ID, "c")
	}
	t.Logf("%d of 20 were killed before their end; %d had the schema", killed, done)
}
