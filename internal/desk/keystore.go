package desk

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
// asks for the passphrase, and changes the keeping of what is there if another one is wanted.
func (s *KeyStore) Prepare() (Keeping, error) {
	var kept Keeping
	err := s.update(func(f *storeFile) error {
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
	kept := secret{Site: c.Site, Key: c.Key.Reveal()}
	if c.KeyPair != nil && !c.ExpiresAt.IsZero() { // a key that does not end is not renewed
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
		f.Accounts[i].ExpiresAt, f.Accounts[i].CreatedAt = c.ExpiresAt, s.cfg.Now().UTC().Truncate(time.Second)
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
	if !ok || kept.Site != a.Site {
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

// open gives the secrets of a file as it was read.
func (s *KeyStore) open(f *storeFile) (secrets, error) {
	switch {
	case f.Keeping == Plain && f.Secrets != nil:
		return f.Secrets, nil
	case f.Keeping == "" || f.Sealed == "":
		return secrets{}, nil
	}
	by, err := s.identity(f)
	if err != nil {
		return nil, err
	}
	all, err := unseal(f.Sealed, by)
	if err != nil {
		s.opener, s.closer = nil, nil
		if f.Keeping == UnderPassphrase {
			return nil, userkeys.Errorf(userkeys.InvalidCredentials, "this is not the passphrase of %s", s.file.name)
		}
		return nil, fault(nil, "the keychain's secret does not open %s; move the file away and log in again", s.file.name)
	}
	return all, nil
}

// keep puts secrets into a file that is to be written, in the way that it says, or in the best there is.
func (s *KeyStore) keep(f *storeFile, all secrets) (Keeping, error) {
	if f.Keeping == "" {
		f.Keeping = s.cfg.Keeping
	}
	if f.Keeping == "" {
		f.Keeping = s.usual()
	}
	f.Sealed, f.Secrets = "", nil
	if f.Keeping == Plain {
		f.Secrets = all
		return Plain, nil
	}
	to, err := s.recipient(f.Keeping)
	if err != nil {
		return "", err
	}
	if f.Sealed, err = seal(all, to); err != nil {
		return "", fault(err, "cannot encrypt the keys")
	}
	return f.Keeping, nil
}

// usual is the keychain where one answers, else a passphrase.
func (s *KeyStore) usual() Keeping {
	if _, err := s.cfg.Keychain.Get(keychainService, s.item()); err == nil || errors.Is(err, errNoSecret) {
		return InKeychain
	}
	return UnderPassphrase
}

// item is the store's name in the keychain: each folder has a secret of its own.
func (s *KeyStore) item() string {
	path, err := filepath.Abs(s.cfg.Dir)
	if err != nil {
		path = s.cfg.Dir
	}
	sum := sha256.Sum256([]byte(path))
	return "keys of " + hex.EncodeToString(sum[:8])
}

// identity opens what was sealed before.
func (s *KeyStore) identity(f *storeFile) (age.Identity, error) {
	if s.opener != nil {
		return s.opener, nil
	}
	if f.Keeping == InKeychain {
		text, err := s.cfg.Keychain.Get(keychainService, s.item())
		if err != nil {
			return nil, fault(err, "the keychain does not give the secret that opens %s", s.file.name)
		}
		return s.byKeychain(text)
	}
	return s.byPassphrase(false)
}

// recipient is to whom secrets are sealed: the keeper that opened them, or a new one.
func (s *KeyStore) recipient(k Keeping) (age.Recipient, error) {
	if s.closer != nil {
		return s.closer, nil
	}
	if k == UnderPassphrase {
		_, err := s.byPassphrase(true)
		return s.closer, err
	}
	text, err := s.cfg.Keychain.Get(keychainService, s.item())
	if errors.Is(err, errNoSecret) {
		var fresh *age.X25519Identity
		if fresh, err = age.GenerateX25519Identity(); err == nil {
			text = fresh.String()
			err = s.cfg.Keychain.Set(keychainService, s.item(), text)
		}
	}
	if err != nil {
		return nil, fault(err, "the keychain cannot keep a secret; choose another key store: --keystore passphrase")
	}
	_, err = s.byKeychain(text)
	return s.closer, err
}

func (s *KeyStore) byKeychain(text string) (age.Identity, error) {
	id, err := age.ParseX25519Identity(text)
	if err != nil {
		return nil, fault(nil, "the keychain's secret for %s is broken", s.file.name)
	}
	s.opener, s.closer = id, id.Recipient()
	return id, nil
}

func (s *KeyStore) byPassphrase(fresh bool) (age.Identity, error) {
	if s.cfg.Passphrase == nil {
		return nil, userkeys.Errorf(userkeys.MissingParameter,
			"the keys need a passphrase: there is no keychain here and no terminal to ask on; set USERKEYS_PASSPHRASE, or keep keys readable by choice: --keystore plain")
	}
	text, err := s.cfg.Passphrase(fresh)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, userkeys.Errorf(userkeys.MissingParameter, "an empty passphrase protects nothing; nothing was stored")
	}
	opener, err := age.NewScryptIdentity(text)
	if err != nil {
		return nil, fault(err, "cannot use the passphrase")
	}
	closer, err := age.NewScryptRecipient(text)
	if err != nil {
		return nil, fault(err, "cannot use the passphrase")
	}
	closer.SetWorkFactor(cmp.Or(s.cfg.work, passphraseWork))
	s.opener, s.closer = opener, closer
	return opener, nil
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
