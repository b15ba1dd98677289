package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
)

// A storedKey is one key that `userkeys login` got. The private key that
// opened the site's answer is not here: it has no use after that, and what is not kept
// cannot be stolen.
type storedKey struct {
	Site      string          `json:"site"`
	Username  string          `json:"username,omitempty"`
	ClientID  string          `json:"client_id"`
	Key       userkeys.Key    `json:"key"`
	Scopes    userkeys.Scopes `json:"scopes"`
	CreatedAt time.Time       `json:"created_at"`
	ExpiresAt time.Time       `json:"expires_at,omitzero"`
}

func (k storedKey) credential() *client.Credential {
	return &client.Credential{
		Site: k.Site, Key: k.Key, ClientID: k.ClientID, Scopes: k.Scopes, Username: k.Username, ExpiresAt: k.ExpiresAt,
	}
}

// keyFile is what the file holds: one key per site, and the id by which sites
// know this installation (so that a new key replaces the old one there too).
type keyFile struct {
	Version  int         `json:"version"`
	ClientID string      `json:"client_id"`
	Keys     []storedKey `json:"keys"`
}

const (
	keyFileVersion  = 1
	keyFileName     = "keys.json"
	maxKeyFileBytes = 4 << 20
	configDirEnv    = "USERKEYS_CONFIG_DIR"

	lockPatience = 5 * time.Second  // how long to wait for another command
	lockStale    = 30 * time.Second // a lock this old belongs to nobody who lives
)

// keyStore is the keys of this person on this machine: a file that only they
// can read, in a folder that only they can enter.
type keyStore struct {
	dir string
	now func() time.Time
}

// openKeyStore finds the folder: $USERKEYS_CONFIG_DIR, or userkeys in the usual place.
func openKeyStore() (*keyStore, error) {
	dir := os.Getenv(configDirEnv)
	if dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return nil, exitf(exitFailure, "there is no place to keep keys (%v); set %s to a folder", err, configDirEnv)
		}
		dir = filepath.Join(base, "userkeys")
	}
	return &keyStore{dir: dir, now: time.Now}, nil
}

func (s *keyStore) path() string { return filepath.Join(s.dir, keyFileName) }

// load reads the file; one that is not there is empty.
func (s *keyStore) load() (keyFile, error) {
	f, err := os.Open(s.path())
	if errors.Is(err, fs.ErrNotExist) {
		return keyFile{Version: keyFileVersion}, nil
	}
	if err != nil {
		return keyFile{}, exitf(exitFailure, "cannot read the stored keys: %v", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return keyFile{}, exitf(exitFailure, "cannot read the stored keys: %v", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return keyFile{}, exitf(exitFailure, "other users of this machine can read %s; make it yours (chmod 600) and consider new keys", s.path())
	}
	if info.Size() > maxKeyFileBytes {
		return keyFile{}, exitf(exitFailure, "%s is no file of keys: it is too large", s.path())
	}
	var k keyFile
	if err := json.NewDecoder(f).Decode(&k); err != nil || k.Version != keyFileVersion {
		// The cause is not shown: a JSON error may quote the file.
		return keyFile{}, exitf(exitFailure, "%s is not readable by this version; move it away and log in again", s.path())
	}
	return k, nil
}

// clientID is the id of this installation, made at its first use.
func (s *keyStore) clientID() (string, error) {
	k, err := s.load()
	if err != nil || k.ClientID != "" {
		return k.ClientID, err
	}
	var id string
	err = s.update(func(k *keyFile) {
		if k.ClientID == "" {
			k.ClientID = client.RandomID()
		}
		id = k.ClientID
	})
	return id, err
}

// add stores a key in place of the one for its site.
func (s *keyStore) add(key storedKey) error {
	return s.update(func(k *keyFile) {
		k.Keys = slices.DeleteFunc(k.Keys, func(old storedKey) bool { return old.Site == key.Site })
		k.Keys = append(k.Keys, key)
		slices.SortFunc(k.Keys, func(a, b storedKey) int { return strings.Compare(a.Site, b.Site) })
	})
}

// update changes the file while no other command does.
func (s *keyStore) update(change func(*keyFile)) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return exitf(exitFailure, "cannot make the folder for keys: %v", err)
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	k, err := s.load()
	if err != nil {
		return err
	}
	change(&k)
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return exitf(exitFailure, "cannot write the keys: %v", err)
	}
	if err := writeAtomically(s.path(), append(b, '\n')); err != nil {
		return exitf(exitFailure, "cannot store the keys: %v", err)
	}
	return nil
}

// lock keeps two commands from losing each other's keys.
func (s *keyStore) lock() (func(), error) {
	name := s.path() + ".lock"
	for deadline := s.now().Add(lockPatience); ; {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			_ = f.Close()
			return func() { _ = os.Remove(name) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, exitf(exitFailure, "cannot lock the keys: %v", err)
		}
		if info, err := os.Stat(name); err == nil && s.now().Sub(info.ModTime()) > lockStale {
			_ = os.Remove(name)
			continue
		}
		if s.now().After(deadline) {
			return nil, exitf(exitFailure, "another userkeys command holds the keys; if none runs, remove %s", name)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// writeAtomically leaves the old file or the whole new one, readable by its owner only.
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
	return os.Rename(f.Name(), name)
}

// find picks the key for a call: by the full address if target is one, by
// site if that is given, else the only one there is. It returns what is left of target: the path on that site.
func (k keyFile) find(site, target string) (storedKey, string, error) {
	if len(k.Keys) == 0 {
		return storedKey{}, "", exitf(exitFailure, "there is no stored key; get one: userkeys login SITE")
	}
	if u, err := url.Parse(target); err == nil && u.Scheme != "" && u.Host != "" {
		return k.findAddress(site, u)
	}
	if !strings.HasPrefix(target, "/") {
		return storedKey{}, "", exitf(exitUsage, "%q is no path: it begins with a slash, or is a full address of a stored site", target)
	}
	if site == "" {
		if len(k.Keys) > 1 {
			return storedKey{}, "", exitf(exitUsage, "there are keys for several sites; choose with --site: %s", k.sites())
		}
		return k.Keys[0], target, nil
	}
	want, err := client.ParseSite(site)
	if err != nil {
		return storedKey{}, "", exitf(exitUsage, "%s", publicText(err))
	}
	// People leave the scheme out; a key got over http is found so too.
	for _, spelled := range []string{want, strings.Replace(want, "https://", "http://", 1)} {
		for _, key := range k.Keys {
			if key.Site == spelled && (spelled == want || !strings.Contains(site, "://")) {
				return key, target, nil
			}
		}
	}
	return storedKey{}, "", exitf(exitFailure, "there is no key for %s (there is for %s); get one: userkeys login %s", want, k.sites(), want)
}

func (k keyFile) findAddress(site string, u *url.URL) (storedKey, string, error) {
	if site != "" {
		return storedKey{}, "", exitf(exitUsage, "give --site and a path, or a full address, not both")
	}
	var best storedKey
	for _, key := range k.Keys { // of two that fit the one in the deeper folder
		if client.OnSite(key.Site, u) && len(key.Site) > len(best.Site) {
			best = key
		}
	}
	if best.Site == "" {
		origin := u.Scheme + "://" + u.Host
		return storedKey{}, "", exitf(exitFailure, "there is no key for %s (there is for %s); get one: userkeys login %s", origin, k.sites(), origin)
	}
	at, err := url.Parse(best.Site)
	if err != nil {
		return storedKey{}, "", fmt.Errorf("stored site: %v", err)
	}
	path := strings.TrimPrefix(u.EscapedPath(), at.EscapedPath())
	if path == "" {
		path = "/"
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return best, path, nil
}

func (k keyFile) sites() string {
	var names []string
	for _, key := range k.Keys {
		names = append(names, key.Site)
	}
	return strings.Join(names, ", ")
}
