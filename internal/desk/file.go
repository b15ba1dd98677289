package desk

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

// A file is a JSON file of the person's own: nobody else can read it, it is
// replaced as a whole, and one program at a time changes it.
type file struct {
	name string
	max  int64  // bytes; more is no file of ours
	lost string // what to do when it cannot be read and was moved away
}

// lockPatience is how long to wait for another program, which holds the file for milliseconds.
const lockPatience = 5 * time.Second

func fault(err error, format string, args ...any) error {
	e := userkeys.Errorf(userkeys.Internal, format, args...)
	e.Err = err
	return e
}

// read reads the file into the value that into points to; false if there is no file.
func (f file) read(into any) (bool, error) {
	h, err := os.Open(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fault(err, "cannot read %s", f.name)
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return false, fault(err, "cannot read %s", f.name)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return false, userkeys.Errorf(userkeys.InvalidAccess, "other users of this machine can read %s; make it yours (chmod 600) and consider new keys", f.name)
	}
	if info.Size() > f.max {
		return false, userkeys.Errorf(userkeys.Internal, "%s is too large to be ours; move it away", f.name)
	}
	dec := json.NewDecoder(h)
	if err := dec.Decode(into); err != nil {
		// The cause is not shown: a JSON error may quote the file.
		return false, f.unreadable()
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return false, f.unreadable()
	}
	return true, nil
}

func (f file) unreadable() error {
	return userkeys.Errorf(userkeys.Internal, "%s is not readable by this version; move it away and %s", f.name, f.lost)
}

// lock holds the file against other programs until the function that it gives is called. A program
// that dies lets go by that.
func (f file) lock() (func(), error) {
	name := throughLinks(f.name)
	if name != f.name {
		// The folder is not made: it may be a volume that is not mounted now.
		if _, err := os.Stat(filepath.Dir(name)); err != nil {
			return nil, fault(err, "%s leads into a folder that is not there", f.name)
		}
	}
	return lockWithin(name+".lock", lockPatience)
}

func lockWithin(name string, patience time.Duration) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, fault(err, "cannot make the folder %s", filepath.Dir(name))
	}
	l := flock.New(name, flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ok, err := l.TryLockContext(ctx, 10*time.Millisecond)
	switch {
	case errors.Is(err, context.DeadlineExceeded) || err == nil && !ok:
		return nil, errBusy
	case err != nil:
		return nil, fault(err, "cannot lock %s", name)
	}
	return func() { _ = l.Unlock() }, nil // the lock ends with the program in any case
}

// errBusy is the lock that another program holds.
var errBusy = userkeys.Errorf(userkeys.Conflict, "another userkeys command is at it; try again when it is done")

// write leaves the old file or the whole new one, readable by its owner only.
func (f file) write(v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fault(err, "cannot write %s", f.name)
	}
	name := throughLinks(f.name)
	removeLeftOvers(name)
	if err := writeAtomically(name, append(content, '\n')); err != nil {
		return fault(err, "cannot write %s", f.name)
	}
	return nil
}

// removeLeftOvers removes what programs left that died while they wrote the file of that name. The lock is held: nobody writes now.
func removeLeftOvers(name string) {
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"-*")) // the pattern is good
	for _, name := range left {
		_ = os.Remove(name) // the next write tries again
	}
}

// maxLinks is how many symbolic links may lead to a file, as on Linux.
const maxLinks = 40

// throughLinks is the file that name leads to, which need not exist. A rename would put the new file in the place of the link: the
// person's choice of another folder, perhaps an encrypted one, would be lost.
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

func writeAtomically(name string, content []byte) error {
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
