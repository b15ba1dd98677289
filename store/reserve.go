package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"userkeys"
)

// ReasonDiskFull is the reason of the error of a write for which the database's disk has no room.
const ReasonDiskFull = "disk full"

// reserve is a file beside a SQLite database whose room is given to what takes access away when the disk is full.
// It is touched only by the process's one writer at a time.
type reserve struct {
	path string      // empty: none
	size int64       // bytes; 0: another process keeps it, this one only uses it
	full atomic.Bool // a write found the disk full, and no ordinary one has found room since
}

// KeepReserve keeps a file of size bytes beside a SQLite database, for a disk that is full: then a revocation, the
// end of a session and a change of a user, a setting or an admin API key takes its room, and all other writes are
// refused until the file can be made again. With size 0 the file that another process keeps is used, and none is
// made. It is called once, before the store is used. On Postgres it does nothing.
func (s *Store) KeepReserve(size int64) error {
	if s.file.path == "" {
		return nil
	}
	s.reserve.path, s.reserve.size = s.file.path+"-reserve", size
	return s.reserve.fill()
}

// HasRoom reports whether the database can be written to. It costs nothing until a write has found the disk full;
// from then on it tries to write.
//
// Errors: [userkeys.Unavailable], with [ReasonDiskFull] if the disk is full.
func (s *Store) HasRoom(ctx context.Context) error {
	if !s.reserve.full.Load() && !s.reserve.missing() {
		return nil
	}
	const name = "room" // of a row that is deleted in its own transaction, and needs pages of its own until then
	return s.write(ctx, func(c conn) error {
		_, err := c.exec(agreeStatement, name, make([]byte, 1<<16))
		if err == nil {
			_, err = c.exec("DELETE FROM userkeys_marks WHERE name = $1", name)
		}
		return err
	})
}

// fill makes the file, of bytes that no file system can shrink, unless it is there.
func (r *reserve) fill() error {
	if info, err := os.Stat(r.path); r.size == 0 || err == nil && info.Size() == r.size {
		return nil
	}
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.Reader, r.size)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(r.path) // what was written of it would only fill the disk more
	}
	return err
}

// missing reports whether the file that this process keeps is gone: another process has used it.
func (r *reserve) missing() bool {
	if r.path == "" || r.size == 0 {
		return false
	}
	_, err := os.Stat(r.path)
	return errors.Is(err, fs.ErrNotExist)
}

// release gives the room of the file back to the disk, and reports whether there was any.
func (r *reserve) release() bool { return r.path != "" && os.Remove(r.path) == nil }

// admit refuses a write that can wait while the room is kept for what cannot.
func (r *reserve) admit() error {
	if r.path == "" || !r.full.Load() && !r.missing() {
		return nil
	}
	if err := r.fill(); err != nil && !errors.Is(err, fs.ErrPermission) {
		return r.noRoom(err)
	}
	return nil
}

// noRoom is the error of a write for which the disk has no room.
func (r *reserve) noRoom(err error) error {
	r.full.Store(true)
	e := &userkeys.Error{
		Code: userkeys.Unavailable, Reason: ReasonDiskFull, Public: "the site cannot answer right now",
		RetryAfter: time.Second,
		Err:        fmt.Errorf("the disk of the database is full: %w", err),
	}
	return e
}

// diskFull reports whether err is the database's word for a full disk.
func diskFull(err error) bool {
	const sqliteFull = 13
	return sqliteCode(err) == sqliteFull || sqlState(err) == "53100"
}
