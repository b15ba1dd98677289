package receiver

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/ownfile"
)

// A Store stores pushes in a folder, each as one line of JSON in a file of its own. The name of the file is made
// of the site and the push's id, so that a push that comes twice is stored once, also after a restart.
type Store struct {
	dir string

	mu     sync.Mutex
	adding map[string]bool // names of files
}

// OpenStore opens a folder, which only its owner can read, and makes it if it does not exist.
//
// Errors: [userkeys.Unavailable] if the folder cannot be written to.
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, notStored(err)
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return nil, notStored(err)
	}
	_ = probe.Close() // nothing is in it
	return &Store{dir: dir, adding: map[string]bool{}}, os.Remove(probe.Name())
}

func notStored(err error) error {
	return &userkeys.Error{
		Code: userkeys.Unavailable, Public: "the push cannot be stored now", Err: err,
		RetryAfter: 5 * time.Second,
	}
}

// stored is the line of a file.
type stored struct {
	ID            string                    `json:"id,omitempty"`
	Verified      bool                      `json:"verified"`
	Site          string                    `json:"site"`
	SentAt        time.Time                 `json:"sent_at,omitzero"`
	ReceivedAt    time.Time                 `json:"received_at"`
	Notifications []client.PushNotification `json:"notifications"` // those that the signature covers
	Body          json.RawMessage           `json:"body"`          // the whole body as it was received
}

// Add stores a push and returns the name of its file. When it returns, the push is on the disk. If a later try has
// notifications for more clients these are added.
//
// Errors: [client.ErrPushSeen] if the push was stored before, [userkeys.Unavailable] if it cannot be stored now.
func (s *Store) Add(p client.Push, at time.Time) (string, error) {
	name := s.name(p)
	if !s.begin(name) {
		return "", notStored(errors.New("the same push is being stored"))
	}
	defer s.end(name)
	keep := stored{
		ID: p.ID, Verified: p.ID != "", Site: p.Site, SentAt: p.SentAt, ReceivedAt: at.UTC(), Notifications: p.Notifications,
		Body: p.Body,
	}
	switch text, err := os.ReadFile(name); {
	case err == nil:
		if keep.Notifications, err = withNew(text, p.Notifications); err != nil {
			return "", notStored(err)
		}
		if keep.Notifications == nil {
			return name, client.ErrPushSeen
		}
	case !errors.Is(err, fs.ErrNotExist):
		return "", notStored(err)
	}
	line, err := lineOf(keep)
	if err == nil {
		err = ownfile.WriteAtomically(name, line)
	}
	if err != nil {
		return "", notStored(err)
	}
	return name, nil
}

// begin and end keep two requests with the same push apart.
func (s *Store) begin(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.adding[name] {
		return false
	}
	s.adding[name] = true
	return true
}

func (s *Store) end(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.adding, name)
}

// withNew returns the notifications of a file and those for clients that it does not have; nil if there are none
// of those.
func withNew(file []byte, more []client.PushNotification) ([]client.PushNotification, error) {
	var old stored
	if err := json.Unmarshal(file, &old); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, n := range old.Notifications {
		known[n.ClientID] = true
	}
	all := old.Notifications
	for _, n := range more {
		if !known[n.ClientID] {
			all = append(all, n)
		}
	}
	if len(all) == len(old.Notifications) {
		return nil, nil
	}
	return all, nil
}

// name returns the file of a push; a push without an id always gets a new one.
func (s *Store) name(p client.Push) string {
	if p.ID == "" {
		return filepath.Join(s.dir, "unsigned-"+client.RandomID()+".json")
	}
	sum := sha256.Sum256([]byte(p.Site + "\n" + p.ID))
	return filepath.Join(s.dir, "push-"+hex.EncodeToString(sum[:16])+".json")
}
