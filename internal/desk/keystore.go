package desk

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
)

// StoreConfig says where a [KeyStore] is and how it keeps secrets.
type StoreConfig struct {
	Dir     string
	Keeping Keeping // empty: as the store is kept already; a new one in the keychain, else under a passphrase
	// Passphrase asks for the passphrase; fresh tells that it is to be chosen. nil: nobody can be asked.
	Passphrase func(fresh bool) (string, error)
	Keychain   Keychain // nil: the system's
	Now        func() time.Time

	work int // scrypt's cost, for tests; 0: passphraseWork
}

// A KeyStore is the keys of one person on this machine: many sites, several accounts on each. What is
// public about them stands readable in keys.json; the keys themselves are
// kept as the [Keeping] says. It is safe for several programs, not for several goroutines.
type KeyStore struct {
	cfg    StoreConfig
	file   file
	opener age.Identity // once it was needed
	closer age.Recipient
}

// storeFile is keys.json.
type storeFile struct {
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

// OpenKeyStore finds the store in a folder. Nothing is read or asked yet.
func OpenKeyStore(cfg StoreConfig) *KeyStore {
	if cfg.Keychain == nil {
		cfg.Keychain = SystemKeychain{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &KeyStore{cfg: cfg, file: file{name: filepath.Join(cfg.Dir, storeName), max: maxStoreBytes, lost: "log in again"}}
}

// Path is the store's file.
func (s *KeyStore) Path() string { return s.file.name }

func (s *KeyStore) load() (storeFile, error) {
	f := storeFile{Version: storeVersion}
	there, err := s.file.read(&f)
	if err != nil {
		return storeFile{}, err
	}
	if there && f.Version != storeVersion {
		return storeFile{}, s.file.unreadable()
	}
	return f, nil
}

// update changes the file while no other program does.
func (s *KeyStore) update(change func(*storeFile) error) error {
	unlock, err := s.file.lock()
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
	return s.file.write(f)
}

// Accounts are all that the store has.
func (s *KeyStore) Accounts() (Accounts, error) {
	f, err := s.load()
	return f.Accounts, err
}

// ClientID is the id of this installation, made at its first use: sites know the app by it, so that a
// new key replaces the old one there.
func (s *KeyStore) ClientID() (string, error) {
	f, err := s.load()
	if err != nil || f.ClientID != "" {
		return f.ClientID, err
	}
	err = s.update(func(now *storeFile) error {
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
func (s *KeyStore) Prepare() (Keeping, error) {
	// The person is asked before the file is locked: they may take their time.
	f, err := s.load()
	if err == nil && f.Sealed != "" {
		_, err = s.open(&f)
	}
	if err != nil {
		return "", err
	}
	var kept Keeping
	err = s.update(func(f *storeFile) error {
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

// Add keeps a new key, in the place of the one for the same site and name. It gives the one
// that it replaced, whose key should be revoked; nil if there was none.
func (s *KeyStore) Add(c *client.Credential) (*client.Credential, error) {
	var replaced *client.Credential
	a := Account{
		ID: client.RandomID(), Site: c.Site, Name: c.Username, ClientID: c.ClientID, Scopes: c.Scopes, Push: c.Push, API: c.API,
		Padding: c.Padding, CreatedAt: s.cfg.Now().UTC().Truncate(time.Second), ExpiresAt: c.ExpiresAt,
	}
	err := s.update(func(f *storeFile) error {
		all, err := s.open(f)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(f.Accounts, func(old Account) bool { return old.Site == a.Site && old.Name == a.Name }); i >= 0 {
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
	if c.KeyPair != nil && (c.Push || !c.ExpiresAt.IsZero()) { // to open the push secret, or to renew: a key that does not end is not renewed
		kept.PrivateKey = string(c.KeyPair.PrivatePEM())
	}
	return kept
}

// Replace keeps a renewed key in the place of the account's.
func (s *KeyStore) Replace(id string, c *client.Credential) error {
	return s.update(func(f *storeFile) error {
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

// Forget removes an account. That it is gone already is no error.
func (s *KeyStore) Forget(id string) error {
	return s.update(func(f *storeFile) error {
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

// Used notes that an account was used, to the minute.
func (s *KeyStore) Used(id string) error {
	now := s.cfg.Now().UTC().Truncate(time.Second)
	f, err := s.load()
	if err != nil {
		return err
	}
	if i := f.index(id); i < 0 || now.Sub(f.Accounts[i].LastUsedAt) < lastUsedStep {
		return nil
	}
	return s.update(func(f *storeFile) error {
		if i := f.index(id); i >= 0 {
			f.Accounts[i].LastUsedAt = now
		}
		return nil
	})
}

// Credential opens the key of an account.
func (s *KeyStore) Credential(a Account) (*client.Credential, error) {
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

func (f *storeFile) index(id string) int {
	return slices.IndexFunc(f.Accounts, func(a Account) bool { return a.ID == id })
}

// credential puts an account and its secret together.
func (a Account) credential(all secrets) (*client.Credential, error) {
	kept, ok := all[a.ID]
	if !ok || kept.Site != a.Site || kept.Name != a.Name {
		return nil, userkeys.Errorf(userkeys.InvalidAccess, "the stored key of %s is not for that site; somebody changed the file: log in again", a)
	}
	c := &client.Credential{
		Site: a.Site, Key: userkeys.Key(kept.Key), ClientID: a.ClientID, Scopes: a.Scopes, Username: a.Name,
		Push: a.Push, API: a.API, ExpiresAt: a.ExpiresAt, Padding: a.Padding,
	}
	if kept.PrivateKey != "" {
		pair, err := client.ParseKeyPair([]byte(kept.PrivateKey))
		if err != nil {
			return nil, fault(nil, "the stored key pair of %s is broken; log in again", a)
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

// Renew puts the key that ask gets in the place of an account's, and gives the account as it is then. One
// program at a time does so: of two renewals by the same key the second kills what the first one got. Where another one has
// renewed it meanwhile, or a login has, nothing is asked.
func (s *KeyStore) Renew(ctx context.Context, a Account, ask func(context.Context, *client.Credential) (*client.Credential, error)) (Account, *client.Credential, error) {
	unlock, err := lockWithin(filepath.Join(s.cfg.Dir, "renew-"+a.ID+".lock"), renewPatience)
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
	for try := range replaceTries {
		if err = s.Replace(a.ID, renewed); err == nil {
			break
		}
		time.Sleep(time.Duration(try) * time.Second)
	}
	if err != nil {
		return now, renewed, err
	}
	return s.Current(now)
}

// postponeRenewal notes when a renewal that failed makes sense again; without the note it is tried at the next use.
func (s *KeyStore) postponeRenewal(id string, cause error) {
	in := renewAgain
	var api *client.APIError
	if errors.As(cause, &api) && api.Status >= 400 && api.Status < 500 && api.Status != http.StatusTooManyRequests {
		in = renewAgainLate
	}
	_ = s.update(func(f *storeFile) error {
		if i := f.index(id); i >= 0 {
			f.Accounts[i].RenewAfter = s.cfg.Now().UTC().Add(in).Truncate(time.Second)
		}
		return nil
	})
}

// Current is an account as it is stored now, with its key: another program may have renewed it, or logged
// in again in its place.
func (s *KeyStore) Current(a Account) (Account, *client.Credential, error) {
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

// LockLogin holds a site against a second login at the same time: each would replace the
// other's key there, and the one that is stored could be the dead one.
func (s *KeyStore) LockLogin(site string) (func(), error) {
	sum := sha256.Sum256([]byte(site))
	unlock, err := lockWithin(filepath.Join(s.cfg.Dir, "login-"+hex.EncodeToString(sum[:6])+".lock"), 200*time.Millisecond)
	if errors.Is(err, errBusy) {
		return nil, userkeys.Errorf(userkeys.Conflict, "another login to %s is waiting for its answer; finish or stop it first", site)
	}
	return unlock, err
}
