package site

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
	"os"
	"path/filepath"

	"userkeys"
	"userkeys/notify"
	"userkeys/store"
)

// secretBytes is the length of a machine secret that is made here.
const secretBytes = 32

// secretMark is the name of what the database remembers of the machine secret.
const secretMark = "machine secret"

// ReadSecret reads a machine secret: 64 or more hexadecimal digits and nothing else. With
// create, a file that is missing is made, which only its owner may read.
func ReadSecret(path string, create bool) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		return createSecret(path)
	}
	if err != nil {
		return nil, fmt.Errorf("the machine secret: %w", err)
	}
	secret, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(secret) < secretBytes {
		return nil, fmt.Errorf("the machine secret: %s has not %d or more hexadecimal digits; make one with: openssl rand -hex 32", path, 2*secretBytes)
	}
	return secret, nil
}

// createSecret makes a secret at path. Of two programs that try at the same time
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
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) { // a link fails where a rename would replace
		return nil, fmt.Errorf("the machine secret: %w", err)
	}
	return ReadSecret(path, false)
}

// AgreeOnSecret tells whether st's site uses this machine secret, which all of its nodes must: else apps
// would be told one push secret and find another's signatures. The first secret counts; replace makes this one count from now on.
func AgreeOnSecret(ctx context.Context, st *store.Store, secret []byte, replace bool) error {
	mark := hmac.New(sha256.New, secret)
	mark.Write([]byte(secretMark))
	ours := mark.Sum(nil)
	if replace {
		return st.Remark(ctx, secretMark, ours)
	}
	have, err := st.Mark(ctx, secretMark, ours)
	if err != nil {
		return err
	}
	if !hmac.Equal(have, ours) {
		return userkeys.Errorf(userkeys.Conflict, "the pushes of this site were signed with another machine secret: "+
			"give --secret-file the one that its other servers have; if it is lost, --replace-secret takes this one, and apps must ask for their push secrets anew")
	}
	return nil
}

// newPusher makes the site's pusher.
func (s *Site) newPusher(cfg Config) (*notify.Pusher, error) {
	return notify.NewPusher(notify.PusherConfig{
		Store: cfg.Store, Settings: s.Authority.Settings, Secret: cfg.Secret, BaseURL: cfg.BaseURL,
		Client: cfg.PushClient, Now: cfg.Now, Logger: cfg.Logger,
	})
}
