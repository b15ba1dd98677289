package sitedata

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"

	"userkeys"
)

const lockName = "userkeys.lock" // in the folder --data

// LockData keeps a second server off the folder of cmd's SQLite database until unlock is called, or this process ends
// in any way: two would each count every limit for itself. Commands beside a server take no lock, and servers of one
// Postgres are meant to be many. [userkeys.Conflict] names the server that has the lock.
func LockData(cmd *cobra.Command, listening net.Addr) (unlock func(), err error) {
	dsn, err := cmd.Flags().GetString("database")
	if err != nil || dsn != "" {
		return func() {}, err
	}
	dir, err := cmd.Flags().GetString("data")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, lockName)
	lock := flock.New(path, flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("cannot lock the folder of the database: %w", err)
	}
	if !got {
		return nil, userkeys.Errorf(userkeys.Conflict,
			"%s: another userkeys serve works on this folder%s; stop it first", dir, holderIn(path))
	}
	holder := fmt.Sprintf("process %d, listening on %s\n", os.Getpid(), listening)
	_ = os.WriteFile(path, []byte(holder), 0o600) // without it, as on a full disk, the lock holds too
	return func() { _ = lock.Unlock() }, nil
}

// holderIn is what the server that has the lock wrote into it, for a sentence; empty where it cannot be read.
func holderIn(path string) string {
	text, err := os.ReadFile(path)
	if holder := strings.TrimSpace(string(text)); err == nil && holder != "" {
		return ": " + userkeys.Printable(holder)
	}
	return ""
}
