// Package discourse is a stand-in for a Discourse site, for tests of what
// apps do: the user API key endpoints and the few others that apps call,
// as three eras of Discourse answer them. It shares the root's cryptography and
// nothing else with our own server, so that both cannot have the same fault.
//
// A test arranges a [Site] (users, settings, notifications, [Fault]s), moves
// its [Clock], lets a [Browser] do what a person would, and reads afterwards
// which requests came in and which keys are left.
package discourse

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"userkeys"
)

// Era is a time in Discourse's history in which it behaved the same.
type Era string

// The eras.
const (
	Old    Era = "O" // 2019 to 2023: client ids stand on keys, limits are charged last
	Middle Era = "M" // 2024 and 2025: clients have rows of their own, totals exist
	New    Era = "N" // mid-2026: device codes, paddings, ends of keys
)

// Eras are all of them, oldest first.
var Eras = []Era{Old, Middle, New}

// before tells whether e is older than other.
func (e Era) before(other Era) bool {
	rank := map[Era]int{Old: 0, Middle: 1, New: 2}
	return rank[e] < rank[other]
}

// Site is a Discourse site on a server of its own. Its methods may be called
// while it serves.
type Site struct {
	URL   string // without a slash at its end
	Era   Era
	Clock *Clock // every time that the site knows comes from here

	t    testing.TB
	done chan struct{} // closed when the test ends: nothing waits longer

	mu       sync.Mutex
	settings map[string]string
	users    []*User
	sessions map[string]*session // by the cookie _forum_session
	logins   map[string]*User    // by the cookie _t
	clients  map[string]string   // application names by client id
	keys     []*Key
	devices  []*device
	limits   windows
	notes    []*Notification
	topics   []*topic
	bus      bus
	requests []Request
	faults   []*Fault
	lastID   int // of anything that has an id but messages
}

// Start runs a site of an era until the test ends. It has no users; settings
// are Discourse's defaults, but for the limits per address, which are off.
func Start(t testing.TB, era Era) *Site {
	t.Helper()
	s := &Site{
		Era: era, Clock: newClock(), t: t, done: make(chan struct{}),
		settings: defaults(), sessions: make(map[string]*session), logins: make(map[string]*User),
		clients: make(map[string]string), limits: make(windows), bus: newBus(),
	}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = server.URL
	t.Cleanup(func() {
		close(s.done)
		server.CloseClientConnections()
		server.Close()
	})
	return s
}

// nextID numbers users, keys, topics, posts and notifications. Callers hold mu.
func (s *Site) nextID() int {
	s.lastID++
	return s.lastID
}

// User is an account. Zero values are those of a plain new user.
type User struct {
	ID         int // given by the site
	Name       string
	TrustLevel int
	Admin      bool
	Moderator  bool
	Suspended  bool
	Inactive   bool

	seen int // the newest notification that was seen
}

func (u *User) staff() bool { return u.Admin || u.Moderator }

// Password is every user's password.
const Password = "a long enough password"

// AddUser adds an account and returns its id.
func (s *Site) AddUser(u User) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.ID = s.nextID()
	s.users = append(s.users, &u)
	return u.ID
}

// ChangeUser changes an account, as an administrator would.
func (s *Site) ChangeUser(name string, change func(*User)) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(name)
	if u == nil {
		s.t.Errorf("discourse: there is no user %q", name)
		return
	}
	change(u)
}

// user finds an account by name; nil if there is none. Callers hold mu.
func (s *Site) user(name string) *User {
	for _, u := range s.users {
		if u.Name == name {
			return u
		}
	}
	return nil
}

// Keys are copies of all keys that the site holds, revoked and ended ones too,
// oldest first. Keys that a new grant replaced are gone, as in Discourse.
func (s *Site) Keys() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Key, len(s.keys))
	for i, k := range s.keys {
		out[i] = *k
	}
	return out
}

// Mint gives a user a key without anybody being asked, for tests that begin
// with one. Its client id is made up.
func (s *Site) Mint(name string, scopes ...string) userkeys.Key {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(name)
	if u == nil {
		s.t.Errorf("discourse: there is no user %q", name)
		return ""
	}
	client := randomHex(16)
	return s.addKey(u, grant{clientID: client, application: "minted", scopes: scopes}, s.Clock.Now()).Key
}

// Revoke revokes the key with an id, as its owner would on the apps page.
func (s *Site) Revoke(id int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keyWithID(id)
	if k == nil {
		s.t.Errorf("discourse: there is no key %d", id)
		return
	}
	k.RevokedAt = s.Clock.Now()
}
