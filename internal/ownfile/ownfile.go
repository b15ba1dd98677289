// Package ownfile has the JSON files that a person keeps on their machine: nobody
// else can read one, it is replaced as a whole, and one program at a time
// changes it. Errors are [userkeys.Error] whose public text is one line for the person.
package ownfile

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"userkeys"
)

// A File is a JSON file of the person's own.
type File struct {
	Name string
	Max  int64  // bytes; a larger file is refused
	Lost string // what the person does after a file that cannot be read was moved away, such as "log in again"
}

// Patience is how long to wait for another program, which holds a lock for milliseconds.
const Patience = 5 * time.Second

// Errorf returns an error with the code [userkeys.Internal], a public text, and
// err as the cause, which may be nil.
func Errorf(err error, format string, args ...any) error {
	e := userkeys.Errorf(userkeys.Internal, format, args...)
	e.Err = err
	return e
}

// Read decodes the file into the value that into points to, and reports whether there is a file.
func (f File) Read(into any) (bool, error) {
	h, err := os.Open(f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, Errorf(err, "cannot read %s", f.Name)
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return false, Errorf(err, "cannot read %s", f.Name)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return false, userkeys.Errorf(userkeys.InvalidAccess,
			"other users of this machine can read %s; make it yours (chmod 600) and consider new keys", f.Name)
	}
	if info.Size() > f.Max {
		return false, userkeys.Errorf(userkeys.Internal, "%s is too large to be ours; move it away", f.Name)
	}
	dec := json.NewDecoder(h)
	if err := dec.Decode(into); err != nil {
		// The cause is not shown: a JSON error may quote the file.
		return false, f.Unreadable()
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return false, f.Unreadable()
	}
	return true, nil
}

// Unreadable returns the error for a file whose content makes no sense.
func (f File) Unreadable() error {
	return userkeys.Errorf(userkeys.Internal, "%s is not readable by this version; move it away and %s", f.Name, f.Lost)
}

// Lock keeps other programs from changing the file until the function that it
// returns is called, or this program ends. The error is [ErrBusy] if another
// program holds the lock for longer than [Patience].
func (f File) Lock() (func(), error) {
	name := throughLinks(f.Name)
	if name != f.Name {
		// The folder is not made: it may be a volume that is not mounted now.
		if _, err := os.Stat(filepath.Dir(name)); err != nil {
			return nil, Errorf(err, "%s leads into a folder that is not there", f.Name)
		}
	}
	return Lock(name+".lock", Patience)
}

// Lock holds the lock file with a name until the function that it returns is
// called, or this program ends. The error is [ErrBusy] if another program holds
// it for longer than patience.
func Lock(name string, patience time.Duration) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, Errorf(err, "cannot make the folder %s", filepath.Dir(name))
	}
	l := flock.New(name, flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ok, err := l.TryLockContext(ctx, 10*time.Millisecond)
	switch {
	case errors.Is(err, context.DeadlineExceeded) || err == nil && !ok:
		return nil, ErrBusy
	case err != nil:
		return nil, Errorf(err, "cannot lock %s", name)
	}
	return func() { _ = l.Unlock() }, nil // the lock ends with the program in any case
}

// ErrBusy means that another program holds a lock.
var ErrBusy = userkeys.Errorf(userkeys.Conflict, "another userkeys command is at it; try again when it is done")

// Write replaces the content by v. A crash leaves the old file or the whole new
// one, which only its owner can read. The caller holds the lock.
func (f File) Write(v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return Errorf(err, "cannot write %s", f.Name)
	}
	name := throughLinks(f.Name)
	removeLeftOvers(name)
	if err := WriteAtomically(name, append(content, '\n')); err != nil {
		return Errorf(err, "cannot write %s", f.Name)
	}
	return nil
}

// removeLeftOvers removes the unfinished files of programs that died while they
// wrote the file with that name. The lock is held: nobody writes now.
func removeLeftOvers(name string) {
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"-*")) // the pattern is good
	for _, name := range left {
		_ = os.Remove(name) // the next write tries again
	}
}

// maxLinks is how many symbolic links may lead to a file, as on Linux.
const maxLinks = 40

// throughLinks is the file that name leads to, which need not exist. A rename would
// put the new file in the place of the link: the person's choice of another folder,
// perhaps an encrypted one, would be lost.
func throughLinks(name string) string {
	for range maxLinks {
		to, err := os.Readlink(name)
		if err != nil {
			break // no link
		}
		if !filepath.IsAbs(to) {
			to = filepath.Dir(name) + string(filepath.Separator) + to // not cleaned: what is before a ".." may be a link
		}
		name = to
	}
	return name
}

// WriteAtomically replaces a file by one with this content, which only its owner can read. After a crash there
// is the old file or the whole new one.
func WriteAtomically(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing to remove
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(name))
}

// syncFolder makes a rename last: without it a power cut may bring the old file back. Windows and
// some network file systems have no such thing for folders.
func syncFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}
