package wiring

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"userkeys"
	"userkeys/site"
	"userkeys/store"
)

// secretBytes is the length of a machine secret that is made here.
const secretBytes = 32

// secretName is the name of what the database remembers of the machine secret.
const secretName = "machine secret"

// SecretFile is where a site's machine secret comes from.
type SecretFile struct {
	Path    string
	Own     bool        // it is the site's own file: made at the first start, and its owner's alone
	Replace bool        // it counts from now on, whatever counted before
	Caller  site.Caller // who replaces it
	Now     func() time.Time
	Logger  *slog.Logger
}

// OpenSecret reads the machine secret that st's site uses, and makes it for a site that never had one.
// [userkeys.Conflict] where the site has another one, and where its own file is missing: then none is made, as
// the next start would take it for the right one.
func OpenSecret(ctx context.Context, st *store.Store, f SecretFile) ([]byte, error) {
	secret, err := ReadSecret(f.Path)
	if f.Own && errors.Is(err, fs.ErrNotExist) {
		secret, err = f.make(ctx, st)
	}
	if err != nil {
		return nil, err
	}
	if f.Own {
		f.warn(ctx)
	}
	if f.Replace {
		return secret, ReplaceSecret(ctx, st, secret, f.Caller.At(f.Now()))
	}
	return secret, AgreeOnSecret(ctx, st, secret)
}

// make makes the file unless the site must have had one. If another program
// has made it meanwhile, its secret is returned.
func (f SecretFile) make(ctx context.Context, st *store.Store) ([]byte, error) {
	had, err := st.Agreed(ctx, secretName)
	if err != nil {
		return nil, err
	}
	if had != nil && !f.Replace {
		// Another program that starts at the same time makes the file before it marks that there is one.
		if secret, err := ReadSecret(f.Path); !errors.Is(err, fs.ErrNotExist) {
			return secret, err
		}
		return nil, userkeys.Errorf(userkeys.Conflict,
			"the machine secret that the pushes of this site are signed with is missing: "+
				"put %s back from its backup, or give --secret-file the one that its other servers have; if it is lost, "+
				"--replace-secret makes another one, and apps must ask for their push secrets anew", f.Path)
	}
	return createSecret(f.Path)
}

// warn logs if others can read or change the file. One of --secret-file may have to be so: as many mounted secrets are.
func (f SecretFile) warn(ctx context.Context) {
	const others = 0o077
	info, err := os.Stat(f.Path)
	if err == nil && info.Mode().Perm()&others != 0 && runtime.GOOS != "windows" { // there the mode says nothing
		f.Logger.WarnContext(ctx,
			"others can read or change the machine secret; chmod 600 it, and replace it if somebody may have",
			"file", f.Path, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
	}
}

// ReadSecret reads a machine secret: 64 or more hexadecimal digits and nothing else. [fs.ErrNotExist] if there
// is no file.
func ReadSecret(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if to, err := os.Readlink(path); err == nil {
			return nil, fmt.Errorf("the machine secret: %s is a link to %s, and there is no such file", path, to)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the machine secret: %w", err)
	}
	secret, err := hex.DecodeString(string(bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))))
	if err != nil || len(secret) < secretBytes {
		return nil, fmt.Errorf("the machine secret: %s has not %d or more hexadecimal digits; make one with: openssl "+
			"rand -hex 32", path, 2*secretBytes)
	}
	return secret, nil
}

// createSecret makes a secret at path, which only its owner may read. Of two programs that try at the same time
// one makes it, whole, and both have it.
func createSecret(path string) ([]byte, error) {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // it never fails
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*")
	if err != nil {
		return nil, fmt.Errorf("the machine secret: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(hex.EncodeToString(secret) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("the machine secret: %w", err)
	}
	// A link fails where a rename would replace.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("the machine secret: %w", err)
	}
	return ReadSecret(path)
}

// AgreeOnSecret reports whether st's site uses this machine secret, which all of its nodes must: else apps
// would be told one push secret and find another's signatures. The first secret counts.
func AgreeOnSecret(ctx context.Context, st *store.Store, secret []byte) error {
	ours := markOf(secret)
	have, err := st.Agree(ctx, secretName, ours)
	if err != nil {
		return err
	}
	if !hmac.Equal(have, ours) {
		return userkeys.Errorf(userkeys.Conflict, "the pushes of this site were signed with another machine secret: "+
			"give --secret-file the one that its other servers have; if it is lost, --replace-secret takes this one, and apps "+
			"must ask for their push secrets anew")
	}
	return nil
}

// ReplaceSecret makes this machine secret count from now on. The audit log tells it.
func ReplaceSecret(ctx context.Context, st *store.Store, secret []byte, act site.Act) error {
	return st.ReplaceAgreed(ctx, secretName, markOf(secret), act)
}

// markOf is what a secret is known by, and nobody can sign with.
func markOf(secret []byte) []byte {
	mark := hmac.New(sha256.New, secret)
	mark.Write([]byte(secretName))
	return mark.Sum(nil)
}
