package keystore

import (
	"errors"
	"testing"
)

// memorySession remembers for ever.
type memorySession map[string]string

func (m memorySession) Get(name string) (string, bool) { s, ok := m[name]; return s, ok }
func (m memorySession) Set(name, secret string)        { m[name] = secret }
func (m memorySession) Forget(name string) bool {
	_, ok := m[name]
	delete(m, name)
	return ok
}

var errAsked = errors.New("the person was asked")

func nobody(bool) (string, error) { return "", errAsked }

// TestSessionRemembersThePassphrase: it is asked for once, only a right one is remembered, and one that is right no more
// is asked for anew.
func TestSessionRemembersThePassphrase(t *testing.T) {
	t.Parallel()
	session := memorySession{}
	cfg := Config{
		Dir: t.TempDir(), Keychain: &memoryKeychain{}, Keeping: UnderPassphrase, Passphrase: says("correct horse"),
		Session: session, work: 5,
	}
	if _, err := Open(cfg).Add(credential("https://a.example", "alice")); err != nil {
		t.Fatal(err)
	}
	read := func(ask func(bool) (string, error)) error {
		c := cfg
		c.Passphrase = ask
		s := Open(c)
		all, err := s.Accounts()
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Credential(all[0])
		return err
	}
	if err := read(nobody); err != nil {
		t.Errorf("after it was chosen: %v", err)
	}
	if err := read(nil); err != nil {
		t.Errorf("without a terminal: %v", err)
	}
	if s := Open(cfg); !s.ForgetPassphrase() || s.ForgetPassphrase() {
		t.Error("it is not forgotten once")
	}
	if err := read(nobody); !errors.Is(err, errAsked) {
		t.Errorf("after it was forgotten: %v", err)
	}
	if err := read(says("wrong")); err == nil || len(session) > 0 {
		t.Errorf("a wrong one: %v, remembered: %d", err, len(session))
	}
	if err := read(says("correct horse")); err != nil || len(session) != 1 {
		t.Errorf("the right one: %v, remembered: %d", err, len(session))
	}
	session[Open(cfg).item()] = "an older one"
	if err := read(nobody); !errors.Is(err, errAsked) || len(session) > 0 {
		t.Errorf("an older one is remembered: %v, remembered: %d", err, len(session))
	}
	if Open(Config{Dir: cfg.Dir}).ForgetPassphrase() {
		t.Error("without a session something is forgotten")
	}
}
