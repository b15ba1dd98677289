package dbtest

import (
	"cmp"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"userkeys/store"
)

// Template is a SQLite database that is filled once and copied for every test that opens it. The copies are files in
// memory where the system has a folder for such files.
type Template struct {
	Fill func(ctx context.Context, s *store.Store) error

	once  sync.Once
	image []byte
	err   error
}

// Copy is a store on a copy of a [Template].
type Copy struct {
	*store.Store
	DB *sql.DB // the same database by connections of its own, for what a test arranges and looks up

	ofStore *sql.DB
	t       testing.TB
}

// Gone takes the database away from the Store, but not from DB.
func (c *Copy) Gone() { _ = c.ofStore.Close() }

// Open copies the database for t. The copy goes away with the test.
func (m *Template) Open(t testing.TB) *Copy {
	t.Helper()
	m.once.Do(func() { m.image, m.err = m.make() })
	if m.err != nil {
		t.Fatal(m.err)
	}
	path := filepath.Join(memoryDir(t), "userkeys.db")
	if err := os.WriteFile(path, m.image, 0o600); err != nil {
		t.Fatal(err)
	}
	c := &Copy{t: t, ofStore: openFile(t, path), DB: openFile(t, path)}
	var err error
	if c.Store, err = store.Open(t.Context(), c.ofStore, store.SQLite); err != nil {
		t.Fatal(err)
	}
	return c
}

// make is the file of the filled database.
func (m *Template) make() ([]byte, error) {
	dir, err := os.MkdirTemp("", "userkeys-template")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path, ctx := filepath.Join(dir, "userkeys.db"), context.Background()
	db, err := sql.Open("sqlite", store.SQLiteDSN(path))
	if err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, db, store.SQLite)
	if err == nil {
		_, err = s.Migrate(ctx)
	}
	if err == nil {
		err = m.Fill(ctx, s)
	}
	if closed := db.Close(); err != nil || closed != nil { // the last connection writes the log into the file
		return nil, cmp.Or(err, closed)
	}
	return os.ReadFile(path)
}

func openFile(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", store.SQLiteDSN(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// memoryDir is a folder that goes away with the test, in memory where there is one.
func memoryDir(t testing.TB) string {
	t.Helper()
	const memory = "/dev/shm"
	if _, err := os.Stat(memory); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "userkeys-test")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
