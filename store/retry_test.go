package store

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"userkeys"
)

type stateError string

func (e stateError) Error() string    { return "state " + string(e) }
func (e stateError) SQLState() string { return string(e) }

type codeError int

func (e codeError) Error() string { return "code" }
func (e codeError) Code() int     { return int(e) }

type safeError struct{}

func (safeError) Error() string     { return "safe" }
func (safeError) SafeToRetry() bool { return true }

func TestFailureCodes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		err  error
		want userkeys.Code
		try  int
	}{
		{"serialization failure", stateError("40001"), userkeys.Unavailable, attempts},
		{"deadlock", stateError("40P01"), userkeys.Unavailable, attempts},
		{"somebody took the name meanwhile", stateError("23505"), userkeys.Internal, attempts},
		{"lock timeout", stateError("55P03"), userkeys.Unavailable, 1},
		{"shut down", stateError("57P01"), userkeys.Unavailable, 1},
		{"disk full", stateError("53100"), userkeys.Unavailable, 1},
		{"no such table", stateError("42P01"), userkeys.Internal, 1},
		{"SQLite busy", codeError(5 | 2<<8), userkeys.Unavailable, 1},
		{"SQLite locked", codeError(6), userkeys.Unavailable, 1},
		{"SQLite read-only", codeError(8 | 4<<8), userkeys.Unavailable, 1},
		{"SQLite disk error", codeError(10 | 4<<8), userkeys.Unavailable, 1},
		{"SQLite corrupt", codeError(11), userkeys.Unavailable, 1},
		{"SQLite full", codeError(13), userkeys.Unavailable, 1},
		{"SQLite wrong statement", codeError(1), userkeys.Internal, 1},
		{"SQLite constraint", codeError(19 | 8<<8), userkeys.Internal, 1},
		{"bad connection", driver.ErrBadConn, userkeys.Unavailable, attempts},
		{"never sent", safeError{}, userkeys.Unavailable, attempts},
		{"anything else", errors.New("broken pipe"), userkeys.Unavailable, 1},
		{"an answer of our own", userkeys.Errorf(userkeys.NotFound, "no"), userkeys.NotFound, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := &Store{db: emptyDB(t), diff: differences{beginWrite: "SELECT 1"}}
			tries := 0
			err := s.write(t.Context(), func(conn) error {
				tries++
				return test.err
			})
			if !errors.Is(err, test.want) || tries != test.try {
				t.Errorf("after %d tries: %v, want %q after %d", tries, err, test.want, test.try)
			}
			if code := userkeys.AsError(err).Code; code != test.want {
				t.Errorf("code %q", code)
			}
			_, err = read(t.Context(), s, func(conn) (int, error) { return 0, test.err })
			if !errors.Is(err, test.want) {
				t.Errorf("reading: %v", err)
			}
		})
	}
}

func TestRetryThatSucceeds(t *testing.T) {
	t.Parallel()
	s := &Store{db: emptyDB(t), diff: differences{beginWrite: "SELECT 1"}}
	tries := 0
	err := s.write(t.Context(), func(conn) error {
		if tries++; tries < attempts {
			return stateError("40001")
		}
		return nil
	})
	if err != nil || tries != attempts {
		t.Errorf("after %d tries: %v", tries, err)
	}
}

func TestOlderVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"3.51.3": false, "3.51.2": true, "3.51.10": false, "3.54.1": false, "3.50.9": true, "3.6.23.1": true, "4.0.0": false, "3.51": true, "": true,
	} {
		if got := olderVersion(version, firstGoodSQLite); got != want {
			t.Errorf("%q is older: %t", version, got)
		}
	}
}

func emptyDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", SQLiteDSN(filepath.Join(t.TempDir(), "a.db")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
