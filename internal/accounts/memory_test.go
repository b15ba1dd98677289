package accounts

import (
	"context"
	"strings"
	"sync"
	"time"

	"userkeys"
	"userkeys/site"
	"userkeys/store"
)

// memory is a [Store] of maps, whose faults a test can choose.
type memory struct {
	mu       sync.Mutex
	accounts map[int64]site.Account
	lastID   int64
	sessions map[string]row
	tokens   map[string]row
	guesses  map[string]counted
	marks    map[string][]byte
	touched  int
	endless  int    // writes of visits that could wait without an end
	fail     error  // what every method answers, if not nil
	onSave   func() // runs before a session is saved
}

type row struct {
	data   []byte
	userID int64
	end    time.Time
}

type counted struct {
	n     int
	since time.Time
}

func newMemory() *memory {
	return &memory{
		accounts: map[int64]site.Account{}, sessions: map[string]row{},
		tokens: map[string]row{}, guesses: map[string]counted{}, marks: map[string][]byte{},
	}
}

var (
	_ testStore = (*memory)(nil)
	_ testStore = (*store.Store)(nil)
)

func (s *memory) lock() func() { s.mu.Lock(); return s.mu.Unlock }

func (s *memory) CreateUser(_ context.Context, a site.Account, _ site.Caller) (site.User, error) {
	defer s.lock()()
	if s.fail != nil {
		return site.User{}, s.fail
	}
	for _, b := range s.accounts {
		if strings.EqualFold(a.Username, b.Username) || a.Email != "" && a.Email == b.Email {
			return site.User{}, userkeys.Errorf(userkeys.Conflict, "taken")
		}
	}
	s.lastID++
	a.ID = s.lastID
	s.accounts[a.ID] = a
	return a.User, nil
}

func (s *memory) BindSession(context.Context, []byte, site.AppSession) error { return nil }

func (s *memory) ReplaceUser(_ context.Context, _, u site.User, _ site.Act) error {
	defer s.lock()()
	a, ok := s.accounts[u.ID]
	if !ok {
		return userkeys.Errorf(userkeys.NotFound, "no user")
	}
	if a.Admin && (!u.Admin || !u.MayAct()) && !s.otherAdmin(u.ID) {
		return userkeys.Errorf(userkeys.Conflict, "last administrator")
	}
	a.User = u
	s.accounts[u.ID] = a
	return nil
}

func (s *memory) otherAdmin(id int64) bool {
	for _, a := range s.accounts {
		if a.ID != id && a.Admin && a.MayAct() {
			return true
		}
	}
	return false
}

func (s *memory) SetPassword(_ context.Context, id int64, hash string, _ site.Act) error {
	defer s.lock()()
	a, ok := s.accounts[id]
	if !ok {
		return userkeys.Errorf(userkeys.NotFound, "no user")
	}
	a.PasswordHash = hash
	s.accounts[id] = a
	return nil
}

func (s *memory) ReplacePassword(_ context.Context, id int64, old, hash string) (bool, error) {
	defer s.lock()()
	a := s.accounts[id]
	if a.PasswordHash != old {
		return false, nil
	}
	a.PasswordHash = hash
	s.accounts[id] = a
	return true, nil
}

func (s *memory) DeleteUser(_ context.Context, id int64, _ site.Act) error {
	defer s.lock()()
	if a := s.accounts[id]; a.Admin && !s.otherAdmin(id) {
		return userkeys.Errorf(userkeys.Conflict, "last administrator")
	}
	delete(s.accounts, id)
	s.dropSessions(id)
	return nil
}

func (s *memory) dropSessions(id int64) {
	for k, r := range s.sessions {
		if r.userID == id {
			delete(s.sessions, k)
		}
	}
}

func (s *memory) User(_ context.Context, id int64) (site.User, error) {
	defer s.lock()()
	if s.fail != nil {
		return site.User{}, s.fail
	}
	a, ok := s.accounts[id]
	if !ok {
		return site.User{}, userkeys.Errorf(userkeys.NotFound, "no user")
	}
	return a.User, nil
}

func (s *memory) Account(_ context.Context, name string) (site.Account, error) {
	defer s.lock()()
	if s.fail != nil {
		return site.Account{}, s.fail
	}
	for _, a := range s.accounts {
		if strings.EqualFold(a.Username, name) || a.Email != "" && strings.EqualFold(a.Email, name) {
			return a, nil
		}
	}
	return site.Account{}, userkeys.Errorf(userkeys.NotFound, "no user")
}

func (s *memory) FindUsers(_ context.Context, f site.UserFilter) ([]site.User, error) {
	defer s.lock()()
	var out []site.User
	for id := f.After + 1; id <= s.lastID && (f.Limit == 0 || len(out) < f.Limit); id++ {
		if a, ok := s.accounts[id]; ok && (!f.Admins || a.Admin && a.MayAct()) {
			out = append(out, a.User)
		}
	}
	return out, s.fail
}

func (s *memory) TouchUser(ctx context.Context, id int64, at time.Time) error {
	defer s.lock()()
	s.noteEnd(ctx)
	a := s.accounts[id]
	a.LastSeenAt = at
	s.accounts[id] = a
	s.touched++
	return nil
}

func (s *memory) Session(_ context.Context, hash []byte, now time.Time) ([]byte, bool, error) {
	defer s.lock()()
	r, ok := s.sessions[string(hash)]
	if s.fail != nil || !ok || !now.Before(r.end) {
		return nil, false, s.fail
	}
	return r.data, true, nil
}

func (s *memory) SaveSession(_ context.Context, r site.SessionRow) error {
	if s.onSave != nil {
		s.onSave()
	}
	defer s.lock()()
	s.sessions[string(r.TokenHash)] = row{r.Data, r.UserID, r.ExpiresAt}
	return s.fail
}

func (s *memory) noteEnd(ctx context.Context) {
	if _, ends := ctx.Deadline(); !ends {
		s.endless++
	}
}

func (s *memory) RenewSession(ctx context.Context, n site.SessionRow) (bool, error) {
	defer s.lock()()
	s.noteEnd(ctx)
	r, ok := s.sessions[string(n.TokenHash)]
	if ok {
		s.sessions[string(n.TokenHash)] = row{n.Data, r.userID, n.ExpiresAt}
	}
	return ok, s.fail
}

func (s *memory) DeleteSession(_ context.Context, hash []byte) error {
	defer s.lock()()
	delete(s.sessions, string(hash))
	return s.fail
}

func (s *memory) DeleteUserSessions(_ context.Context, id int64) error {
	defer s.lock()()
	s.dropSessions(id)
	return s.fail
}

func (s *memory) CreateToken(_ context.Context, t site.Token, _ ...site.AuditEvent) error {
	defer s.lock()()
	s.tokens[t.Kind] = row{data: t.Hash, end: t.Expires}
	return s.fail
}

func (s *memory) TokenGood(_ context.Context, t site.Token, now time.Time) (bool, error) {
	defer s.lock()()
	r := s.tokens[t.Kind]
	return string(r.data) == string(t.Hash) && now.Before(r.end), s.fail
}

func (s *memory) ConsumeToken(_ context.Context, t site.Token, now time.Time, _ ...site.AuditEvent) (bool, error) {
	defer s.lock()()
	r, ok := s.tokens[t.Kind]
	if !ok || string(r.data) != string(t.Hash) {
		return false, s.fail
	}
	delete(s.tokens, t.Kind)
	return now.Before(r.end), s.fail
}

func (s *memory) ChargeAttempt(_ context.Context, name string, window time.Duration, at time.Time) (int, time.Time, error) {
	defer s.lock()()
	c := s.guesses[name]
	if c.n == 0 || window > 0 && at.Sub(c.since) >= window {
		c = counted{since: at}
	}
	c.n++
	s.guesses[name] = c
	return c.n, c.since, s.fail
}

func (s *memory) Guesses(_ context.Context, name string) (int, time.Time, error) {
	defer s.lock()()
	c := s.guesses[name]
	return c.n, c.since, s.fail
}

func (s *memory) Agree(_ context.Context, name string, value []byte) ([]byte, error) {
	defer s.lock()()
	if _, ok := s.marks[name]; !ok {
		s.marks[name] = value
	}
	return s.marks[name], s.fail
}

func (s *memory) ForgetGuesses(_ context.Context, names ...string) error {
	defer s.lock()()
	for _, n := range names {
		delete(s.guesses, n)
	}
	return s.fail
}
