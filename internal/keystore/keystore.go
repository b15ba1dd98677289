package keystore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"filippo.io/age"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/ownfile"
)

// Config says where a [Store] is and how it keeps secrets.
type Config struct {
	Dir     string
	Keeping Keeping // empty: as the store is kept already; a new one in the keychain, else under a passphrase
	// Passphrase asks for the passphrase; fresh tells that it is to be chosen. nil: nobody can be asked.
	Passphrase func(fresh bool) (string, error)
	Keychain   Keychain // nil: the system's
	Session    Session  // remembers the passphrase; nil: nobody does
	Now        func() time.Time

	work int // scrypt's cost, for tests; 0: passphraseWork
}

// A Store has the keys of one person on this machine: to many sites, for several
// accounts on each. What is public about them is readable in keys.json; the keys
// themselves are kept as the [Keeping] says. A store may be used by several programs at
// the same time, but not by several goroutines.
type Store struct {
	cfg    Config
	file   ownfile.File
	opener age.Identity // once it was needed
	closer age.Recipient
	typed  string // the passphrase that the person gave, to be remembered once it was right
}

// keysFile is keys.json.
type keysFile struct {
	Version  int      `json:"version"`
	ClientID string   `json:"client_id"`
	Keeping  Keeping  `json:"keystore"`
	Accounts Accounts `json:"accounts"`
	Sealed   string   `json:"sealed,omitempty"`
	Secrets  secrets  `json:"secrets,omitempty"`
}

const (
	storeVersion  = 2
	storeName     = "keys.json"
	maxStoreBytes = 8 << 20
	lastUsedStep  = time.Minute // how exactly the last use is kept
)

// Open returns the store in the folder cfg.Dir. Nothing is read or asked yet.
func Open(cfg Config) *Store {
	if cfg.Keychain == nil {
		cfg.Keychain = SystemKeychain{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Store{
		cfg:  cfg,
		file: ownfile.File{Name: filepath.Join(cfg.Dir, storeName), Max: maxStoreBytes, Lost: "log in again"},
	}
}

// Path is the store's file.
func (s *Store) Path() string { return s.file.Name }

func (s *Store) load() (keysFile, error) {
	f := keysFile{Version: storeVersion}
	there, err := s.file.Read(&f)
	if err != nil {
		return keysFile{}, err
	}
	if there && f.Version != storeVersion {
		return keysFile{}, s.file.Unreadable()
	}
	return f, nil
}

// update changes the file while no other program does.
func (s *Store) update(change func(*keysFile) error) error {
	unlock, err := s.file.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	f, err := s.load()
	if err != nil {
		return err
	}
	if err := change(&f); err != nil {
		return err
	}
	return s.file.Write(f)
}

// Accounts returns all accounts of the store.
func (s *Store) Accounts() (Accounts, error) {
	f, err := s.load()
	return f.Accounts, err
}

// ClientID is the id of this installation, made at its first use: sites know the app by it, so that a
// new key replaces the old one there.
func (s *Store) ClientID() (string, error) {
	f, err := s.load()
	if err != nil || f.ClientID != "" {
		return f.ClientID, err
	}
	err = s.update(func(now *keysFile) error {
		if now.ClientID == "" {
			now.ClientID = client.RandomID()
		}
		f = *now
		return nil
	})
	return f.ClientID, err
}

// Prepare makes sure that a key could be kept, before anybody is asked for one: it finds the keychain,
// asks for the passphrase, and changes the keeping of all that is there if another one is wanted.
func (s *Store) Prepare() (Keeping, error) {
	// The person is asked before the file is locked: they may take their time.
	f, err := s.load()
	if err == nil && f.Sealed != "" {
		_, err = s.open(&f)
	}
	if err != nil {
		return "", err
	}
	var kept Keeping
	err = s.update(func(f *keysFile) error {
		all, err := s.open(f)
		if err != nil {
			return err
		}
		if want := s.cfg.Keeping; want != "" && want != f.Keeping {
			s.opener, s.closer = nil, nil
			f.Keeping = want
		}
		kept, err = s.keep(f, all)
		return err
	})
	return kept, err
}

// Add stores a new key in place of the one for the same site and name. It returns the
// one that it replaced, which should be revoked; nil if there was none.
func (s *Store) Add(c *client.Credential) (*client.Credential, error) {
	var replaced *client.Credential
	a := Account{
		ID: client.RandomID(), Site: c.Site, Name: c.Username, ClientID: c.ClientID, Scopes: c.Scopes,
		Push: c.Push, API: c.API, Padding: c.Padding,
		CreatedAt: s.cfg.Now().UTC().Truncate(time.Second), ExpiresAt: c.ExpiresAt,
	}
	err := s.update(func(f *keysFile) error {
		all, err := s.open(f)
		if err != nil {
			return err
		}
		same := func(old Account) bool { return old.Site == a.Site && old.Name == a.Name }
		if i := slices.IndexFunc(f.Accounts, same); i >= 0 {
			replaced, _ = f.Accounts[i].credential(all) // one that cannot be read cannot be revoked either
			delete(all, f.Accounts[i].ID)
			f.Accounts = slices.Delete(f.Accounts, i, i+1)
		}
		all[a.ID] = secretOf(c)
		f.Accounts = append(f.Accounts, a)
		f.Accounts.sort()
		_, err = s.keep(f, all)
		return err
	})
	return replaced, err
}

func secretOf(c *client.Credential) secret {
	kept := secret{Site: c.Site, Name: c.Username, Key: c.Key.Reveal()}
	// to open the push secret, or to renew: a key that does not end is not renewed
	if c.KeyPair != nil && (c.Push || !c.ExpiresAt.IsZero()) {
		kept.PrivateKey = string(c.KeyPair.PrivatePEM())
	}
	return kept
}

// Replace stores a renewed key in place of the account's.
func (s *Store) Replace(id string, c *client.Credential) error {
	return s.update(func(f *keysFile) error {
		i := f.index(id)
		if i < 0 {
			return gone(id)
		}
		all, err := s.open(f)
		if err != nil {
			return err
		}
		all[id] = secretOf(c)
		a := &f.Accounts[i]
		a.ExpiresAt, a.CreatedAt, a.RenewAfter = c.ExpiresAt, s.cfg.Now().UTC().Truncate(time.Second), time.Time{}
		_, err = s.keep(f, all)
		return err
	})
}

// Forget removes an account. It is no error if there is no such account.
func (s *Store) Forget(id string) error {
	return s.update(func(f *keysFile) error {
		i := f.index(id)
		if i < 0 {
			return nil
		}
		f.Accounts = slices.Delete(f.Accounts, i, i+1)
		if f.Keeping == Plain {
			delete(f.Secrets, id)
			return nil
		}
		all, err := s.open(f)
		if err != nil {
			return err
		}
		delete(all, id)
		_, err = s.keep(f, all)
		return err
	})
}

// Used records that an account was used, to the minute.
func (s *Store) Used(id string) error {
	now := s.cfg.Now().UTC().Truncate(time.Second)
	f, err := s.load()
	if err != nil {
		return err
	}
	if i := f.index(id); i < 0 || now.Sub(f.Accounts[i].LastUsedAt) < lastUsedStep {
		return nil
	}
	return s.update(func(f *keysFile) error {
		if i := f.index(id); i >= 0 {
			f.Accounts[i].LastUsedAt = now
		}
		return nil
	})
}

// Credential returns the key of an account.
func (s *Store) Credential(a Account) (*client.Credential, error) {
	f, err := s.load()
	if err != nil {
		return nil, err
	}
	i := f.index(a.ID)
	if i < 0 {
		return nil, gone(a.String())
	}
	all, err := s.open(&f)
	if err != nil {
		return nil, err
	}
	return f.Accounts[i].credential(all)
}

func gone(what string) error {
	return userkeys.Errorf(userkeys.NotFound, "the key of %s is not stored any more; another command removed it", what)
}

func (f *keysFile) index(id string) int {
	return slices.IndexFunc(f.Accounts, func(a Account) bool { return a.ID == id })
}

// credential puts an account and its secret together.
func (a Account) credential(all secrets) (*client.Credential, error) {
	kept, ok := all[a.ID]
	if !ok || kept.Site != a.Site || kept.Name != a.Name {
		return nil, userkeys.Errorf(userkeys.InvalidAccess,
			"the stored key of %s is not for that site; somebody changed the file: log in again", a)
	}
	c := &client.Credential{
		Site: a.Site, Key: userkeys.Key(kept.Key), ClientID: a.ClientID, Scopes: a.Scopes, Username: a.Name,
		Push: a.Push, API: a.API, ExpiresAt: a.ExpiresAt, Padding: a.Padding,
	}
	if kept.PrivateKey != "" {
		pair, err := client.ParseKeyPair([]byte(kept.PrivateKey))
		if err != nil {
			return nil, ownfile.Errorf(nil, "the stored key pair of %s is broken; log in again", a)
		}
		c.KeyPair = pair
	}
	return c, nil
}

// Bounds of a renewal.
const (
	renewPatience  = 30 * time.Second // for another program that renews the same key
	renewAgain     = 10 * time.Minute // after a site that could not be asked
	renewAgainLate = 24 * time.Hour   // after a site that does not renew the key
	replaceTries   = 5
)

// Renew stores the key that ask gets in place of the key of a, and returns the
// account and its key as they are then. One program at a time renews a key: of
// two renewals by the same key the second would end the key that the first one
// got. If another program has renewed the key meanwhile, or logged in again, ask
// is not called.
func (s *Store) Renew(
	ctx context.Context, a Account, ask func(context.Context, *client.Credential) (*client.Credential, error),
) (Account, *client.Credential, error) {
	unlock, err := ownfile.Lock(filepath.Join(s.cfg.Dir, "renew-"+a.ID+".lock"), renewPatience)
	if err != nil {
		return a, nil, err
	}
	defer unlock()
	now, c, err := s.Current(a)
	if err != nil || now.ID != a.ID || !now.CreatedAt.Equal(a.CreatedAt) {
		return now, c, err
	}
	renewed, err := ask(ctx, c)
	if err != nil {
		s.postponeRenewal(a.ID, err)
		return now, c, err
	}
	// The old key ends in ten minutes: the new one must not be lost to a file that is busy.
	for try := 1; ; try++ {
		err = s.Replace(a.ID, renewed)
		if err == nil || try == replaceTries || ctx.Err() != nil {
			break
		}
		pause := time.NewTimer(time.Duration(try-1) * time.Second)
		select {
		case <-pause.C:
		case <-ctx.Done(): // one more try, without waiting
			pause.Stop()
		}
	}
	if err != nil {
		return now, renewed, err
	}
	return s.Current(now)
}

// postponeRenewal records when a renewal that failed is worth another try. If it cannot
// be recorded, the renewal is tried at the next use.
func (s *Store) postponeRenewal(id string, cause error) {
	in := renewAgain
	var api *client.APIError
	if errors.As(cause, &api) && api.Status >= 400 && api.Status < 500 && api.Status != http.StatusTooManyRequests {
		in = renewAgainLate
	}
	_ = s.update(func(f *keysFile) error {
		if i := f.index(id); i >= 0 {
			f.Accounts[i].RenewAfter = s.cfg.Now().UTC().Add(in).Truncate(time.Second)
		}
		return nil
	})
}

// Current returns an account as it is stored now, with its key: another program may
// have renewed it, or logged in again.
func (s *Store) Current(a Account) (Account, *client.Credential, error) {
	f, err := s.load()
	if err != nil {
		return a, nil, err
	}
	i := f.index(a.ID)
	if i < 0 {
		i = slices.IndexFunc(f.Accounts, func(b Account) bool { return b.Site == a.Site && b.Name == a.Name })
	}
	if i < 0 {
		return a, nil, gone(a.String())
	}
	all, err := s.open(&f)
	if err != nil {
		return a, nil, err
	}
	c, err := f.Accounts[i].credential(all)
	return f.Accounts[i], c, err
}

// LockLogin keeps a second login to a site from running at the same time, until the
// function that it returns is called: each would replace the other's key on the site,
// and the revoked one could be the one that is stored.
func (s *Store) LockLogin(site string) (func(), error) {
	sum := sha256.Sum256([]byte(site))
	unlock, err := ownfile.Lock(filepath.Join(s.cfg.Dir, "login-"+hex.EncodeToString(sum[:6])+".lock"),
		200*time.Millisecond)
	if errors.Is(err, ownfile.ErrBusy) {
		return nil, userkeys.Errorf(userkeys.Conflict,
			"another login to %s is waiting for its answer; finish or stop it first", site)
	}
	return unlock, err
}
