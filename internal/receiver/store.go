package receiver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"userkeys"
	"userkeys/client"
)

// A Store keeps pushes in a folder, each as one line of JSON in a file of its own. The name of the file is made of the
// site and the push's id, so a push is there once whatever comes twice, and also after a restart.
type Store struct{ dir string }

// OpenStore makes the folder if it is not there. Only its owner can read it.
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, notStored(err)
	}
	probe, err := os.CreateTemp(dir, temporary)
	if err != nil {
		return nil, notStored(err)
	}
	_ = probe.Close() // nothing is in it
	return &Store{dir}, os.Remove(probe.Name())
}

// temporary is the name of a file that is not whole yet.
const temporary = ".push-*.tmp"

func notStored(err error) error {
	return &userkeys.Error{Code: userkeys.Unavailable, Public: "the push cannot be stored now", Err: err, RetryAfter: 5 * time.Second}
}

// stored is the line in a file.
type stored struct {
	ID            string                    `json:"id,omitempty"`
	Verified      bool                      `json:"verified"`
	Site          string                    `json:"site"`
	SentAt        time.Time                 `json:"sent_at,omitzero"`
	ReceivedAt    time.Time                 `json:"received_at"`
	Notifications []client.PushNotification `json:"notifications"` // those that are vouched for
	Body          json.RawMessage           `json:"body"`          // as it came, with all
}

// Add keeps a push and gives its file. When it returns the push is on the disk. If it was there already the error
// is [client.ErrPushSeen].
func (s *Store) Add(p client.Push, at time.Time) (string, error) {
	name := s.name(p)
	switch _, err := os.Lstat(name); {
	case err == nil:
		return name, client.ErrPushSeen
	case !errors.Is(err, fs.ErrNotExist):
		return "", notStored(err)
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	err := enc.Encode(stored{
		ID: p.ID, Verified: p.ID != "", Site: p.Site, SentAt: p.SentAt, ReceivedAt: at.UTC(), Notifications: p.Notifications, Body: p.Body,
	})
	if err == nil {
		err = s.write(name, line.Bytes())
	}
	if err != nil {
		return "", notStored(err)
	}
	return name, nil
}

// name is the file of a push; one without an id is never the same as another.
func (s *Store) name(p client.Push) string {
	if p.ID == "" {
		return filepath.Join(s.dir, "unsigned-"+client.RandomID()+".json")
	}
	sum := sha256.Sum256([]byte(p.Site + "\n" + p.ID))
	return filepath.Join(s.dir, "push-"+hex.EncodeToString(sum[:16])+".json")
}

// write puts a whole file in place, or none.
func (s *Store) write(name string, text []byte) error {
	f, err := os.CreateTemp(s.dir, temporary)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error counts
		return err
	}
	return s.syncFolder()
}

// syncFolder makes the new name last. Windows and some network file systems have no such thing for folders.
func (s *Store) syncFolder() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}
