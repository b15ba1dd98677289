package store

import (
	"database/sql/driver"
	"errors"
	"time"

	"userkeys"
)

// fail gives the error of a driver a code. An error that has a code stays as it is.
//
// An error that is not known to be a mistake of this program becomes [userkeys.Unavailable]: a database that is away,
// slow, full or broken must never look like a key that does not exist.
func fail(err error) error {
	if err == nil {
		return nil
	}
	var e *userkeys.Error
	if errors.As(err, &e) {
		return err
	}
	if ourMistake(err) {
		return userkeys.AsError(err)
	}
	return &userkeys.Error{
		Code:       userkeys.Unavailable,
		Public:     "the site cannot answer right now",
		RetryAfter: time.Second,
		Err:        err,
	}
}

// sqlState returns the five characters with which Postgres names an error. Drivers have a method for it, so none has
// to be imported.
func sqlState(err error) string {
	var e interface{ SQLState() string }
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}

// sqliteBusy is the primary result code of SQLite for a database that another connection has locked.
const sqliteBusy = 5

// sqliteCode returns the primary result code of SQLite.
func sqliteCode(err error) int {
	var e interface{ Code() int }
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

func ourMistake(err error) bool {
	switch sqliteCode(err) {
	case 1, 19, 20, 21, 25: // ERROR, CONSTRAINT, MISMATCH, MISUSE, RANGE
		return true
	}
	if state := sqlState(err); len(state) == 5 {
		switch state[:2] {
		case "21", "22", "23", "42": // cardinality, data, integrity, syntax or access rule
			return true
		}
	}
	return false
}

// retryable reports whether a transaction that failed can simply be run again, because the database rolled it back in
// favour of another, or never saw it.
func retryable(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01": // serialization failure, deadlock
		return true
	case "23503", "23505": // another one made or removed the row since we looked; we will see that now
		return true
	}
	var e interface{ SafeToRetry() bool }
	return errors.Is(err, driver.ErrBadConn) || errors.As(err, &e) && e.SafeToRetry()
}
