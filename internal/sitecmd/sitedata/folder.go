package sitedata

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"userkeys"
)

// The files in the folder --data.
const (
	databaseName = "userkeys.db"
	secretName   = "userkeys.secret"
	lockName     = "userkeys.lock"
)

// SecretPath is the file with the machine secret, and own reports whether it is the
// one in the folder --data, which this makes if it is missing.
func (o *ServeOptions) SecretPath() (path string, own bool, err error) {
	if o.SecretFile != "" {
		return o.SecretFile, false, nil
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return "", false, fmt.Errorf("the machine secret has no place (give --secret-file): %w", err)
	}
	return filepath.Join(o.Data, secretName), true, nil
}

// Lock prevents a second server from using the folder of the SQLite database until unlock is called or this process
// ends: two servers would each count every limit for themselves. Commands beside a server take no lock, and several
// servers may use one Postgres database. The error is [userkeys.Conflict] and names the server that has the lock.
func (o *Options) Lock(listening net.Addr) (unlock func(), err error) {
	if o.Database != "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(o.Data, lockName)
	lock := flock.New(path, flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("cannot lock the folder of the database: %w", err)
	}
	if !got {
		return nil, userkeys.Errorf(userkeys.Conflict,
			"%s: another userkeys serve works on this folder%s; stop it first", o.Data, holderIn(path))
	}
	holder := fmt.Sprintf("process %d, listening on %s\n", os.Getpid(), listening)
	_ = os.WriteFile(path, []byte(holder), 0o600) // without it, as on a full disk, the lock holds too
	return func() { _ = lock.Unlock() }, nil
}

// holderIn returns what the server that has the lock wrote into it, as the end of a sentence, or "" if it cannot be
// read.
func holderIn(path string) string {
	text, err := os.ReadFile(path)
	if holder := strings.TrimSpace(string(text)); err == nil && holder != "" {
		return ": " + userkeys.Printable(holder)
	}
	return ""
}
