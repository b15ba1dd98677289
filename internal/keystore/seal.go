package keystore

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"

	"filippo.io/age"

	"userkeys"
	"userkeys/internal/ownfile"
)

// open returns the secrets of a file that was read.
func (s *Store) open(f *keysFile) (secrets, error) {
	switch {
	case f.Keeping == Plain && f.Sealed != "":
		// Whoever changes the file must not make the store decrypt itself at the next write.
		return nil, userkeys.Errorf(userkeys.InvalidAccess,
			"%s says that it is plain, and is encrypted; somebody changed the file: move it away and log in again", s.file.Name)
	case f.Keeping == Plain && f.Secrets != nil:
		return f.Secrets, nil
	case f.Keeping == "" || f.Sealed == "":
		return secrets{}, nil
	}
	if f.Keeping == UnderPassphrase && s.opener == nil {
		if all, ok := s.openRemembered(f); ok {
			return all, nil
		}
	}
	by, err := s.identity(f)
	if err != nil {
		return nil, err
	}
	all, err := unseal(f.Sealed, by)
	if err != nil {
		s.opener, s.closer, s.typed = nil, nil, ""
		if f.Keeping == UnderPassphrase {
			return nil, userkeys.Errorf(userkeys.InvalidCredentials, "this is not the passphrase of %s", s.file.Name)
		}
		return nil, ownfile.Errorf(nil, "the keychain's secret does not open %s; move the file away and log in again",
			s.file.Name)
	}
	s.remember()
	return all, nil
}

// openRemembered opens a file with the passphrase that the session remembers. One that does not open it is forgotten:
// another was chosen since.
func (s *Store) openRemembered(f *keysFile) (secrets, bool) {
	if s.cfg.Session == nil {
		return nil, false
	}
	text, ok := s.cfg.Session.Get(s.item())
	if !ok {
		return nil, false
	}
	by, err := s.withPassphrase(text)
	if err == nil {
		var all secrets
		if all, err = unseal(f.Sealed, by); err == nil {
			return all, true
		}
	}
	s.opener, s.closer = nil, nil
	s.cfg.Session.Forget(s.item())
	return nil, false
}

// remember has the session remember the passphrase that was typed, which was right.
func (s *Store) remember() {
	if s.cfg.Session != nil && s.typed != "" {
		s.cfg.Session.Set(s.item(), s.typed)
	}
	s.typed = ""
}

// ForgetPassphrase has the session forget the passphrase, so that the next command asks for it. It reports whether
// there was one.
func (s *Store) ForgetPassphrase() bool {
	return s.cfg.Session != nil && s.cfg.Session.Forget(s.item())
}

// keep puts secrets into a file that will be written, kept as the file says, or else in
// the best way that this machine has.
func (s *Store) keep(f *keysFile, all secrets) (Keeping, error) {
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
		return "", ownfile.Errorf(err, "cannot encrypt the keys")
	}
	s.remember()
	return f.Keeping, nil
}

// usual is the keychain where one answers soon, else a passphrase.
func (s *Store) usual() Keeping {
	_, err := patiently(keychainPatience, func() (string, error) {
		return s.cfg.Keychain.Get(keychainService, s.item())
	})
	if err == nil || errors.Is(err, errNoSecret) {
		return InKeychain
	}
	return UnderPassphrase
}

// item is the store's name in the keychain: each folder has a secret of its own.
func (s *Store) item() string {
	path, err := filepath.Abs(s.cfg.Dir)
	if err != nil {
		path = s.cfg.Dir
	}
	sum := sha256.Sum256([]byte(path))
	return "keys of " + hex.EncodeToString(sum[:8])
}

// identity opens what was sealed before.
func (s *Store) identity(f *keysFile) (age.Identity, error) {
	if s.opener != nil {
		return s.opener, nil
	}
	if f.Keeping == InKeychain {
		text, err := s.cfg.Keychain.Get(keychainService, s.item())
		if err != nil {
			return nil, ownfile.Errorf(err, "the keychain does not give the secret that opens %s; unlock it and try again",
				s.file.Name)
		}
		return s.byKeychain(text)
	}
	return s.byPassphrase(false)
}

// recipient returns the key that secrets are encrypted to: the one that opened them, or
// a new one.
func (s *Store) recipient(k Keeping) (age.Recipient, error) {
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
		return nil, ownfile.Errorf(err,
			"the keychain cannot keep a secret; choose another key store: --keystore passphrase")
	}
	_, err = s.byKeychain(text)
	return s.closer, err
}

func (s *Store) byKeychain(text string) (age.Identity, error) {
	id, err := age.ParseX25519Identity(text)
	if err != nil {
		return nil, ownfile.Errorf(nil, "the keychain's secret for %s is broken", s.file.Name)
	}
	s.opener, s.closer = id, id.Recipient()
	return id, nil
}

func (s *Store) byPassphrase(fresh bool) (age.Identity, error) {
	if s.cfg.Passphrase == nil && !fresh {
		return nil, userkeys.Errorf(userkeys.MissingParameter,
			"the keys in %s are under a passphrase, and there is no terminal to ask for it on; set USERKEYS_PASSPHRASE",
			s.file.Name)
	}
	if s.cfg.Passphrase == nil {
		return nil, userkeys.Errorf(userkeys.MissingParameter,
			"the keys need a passphrase: there is no keychain here and no terminal to ask on; set USERKEYS_PASSPHRASE, "+
				"or keep keys readable by choice: --keystore plain")
	}
	text, err := s.cfg.Passphrase(fresh)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, userkeys.Errorf(userkeys.MissingParameter, "an empty passphrase protects nothing; nothing was stored")
	}
	id, err := s.withPassphrase(text)
	if err == nil {
		s.typed = text
	}
	return id, err
}

// withPassphrase sets what opens and closes the store.
func (s *Store) withPassphrase(text string) (age.Identity, error) {
	opener, err := age.NewScryptIdentity(text)
	if err != nil {
		return nil, ownfile.Errorf(err, "cannot use the passphrase")
	}
	closer, err := age.NewScryptRecipient(text)
	if err != nil {
		return nil, ownfile.Errorf(err, "cannot use the passphrase")
	}
	closer.SetWorkFactor(cmp.Or(s.cfg.work, passphraseWork))
	s.opener, s.closer = opener, closer
	return opener, nil
}
