package store

import (
	"context"
	"errors"
	"os"
)

// databaseFile is the file of a SQLite database as it was when it was opened. A process goes on reading a file that
// was deleted or replaced, and would miss the revocations in the new one.
type databaseFile struct {
	path string // empty: nothing to watch
	was  os.FileInfo
}

const mainFile = "SELECT COALESCE(file, '') FROM pragma_database_list WHERE seq = 0"

// rememberFile stores which file to watch. On Postgres there is none.
func (s *Store) rememberFile(ctx context.Context) error {
	if s.d != SQLite {
		return nil
	}
	path, err := read(ctx, s, func(c conn) (string, error) {
		return one(c, scanText, mainFile)
	})
	if err != nil || path == "" {
		return err
	}
	was, err := os.Stat(path)
	s.file = databaseFile{path, was}
	return err
}

var errMoved = errors.New("the database file was moved, deleted or replaced; put it back or restart")

func (f databaseFile) check() error {
	if f.path == "" {
		return nil
	}
	is, err := os.Stat(f.path)
	if err != nil || !os.SameFile(f.was, is) {
		return errMoved
	}
	return nil
}
