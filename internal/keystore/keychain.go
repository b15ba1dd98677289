package keystore

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/zalando/go-keyring"

	"userkeys"
)

// A Keeping is how the secrets of a key store are kept.
type Keeping string

// The ways to keep secrets. Keychain is the usual one where there is one.
const (
	InKeychain      Keeping = "keychain"   // encrypted to a key in the system's keychain
	UnderPassphrase Keeping = "passphrase" // encrypted under a passphrase
	Plain           Keeping = "plain"      // readable by whoever can read the person's files
)

// ParseKeeping reads the name of a keeping; empty leaves the choice to the store.
func ParseKeeping(s string) (Keeping, error) {
	switch k := Keeping(s); k {
	case "", InKeychain, UnderPassphrase, Plain:
		return k, nil
	}
	return "", userkeys.Errorf(userkeys.InvalidParameters, "a key store is %s, %s or %s, not %q",
		InKeychain, UnderPassphrase, Plain, s)
}

// A Keychain keeps small secrets for the person who is signed in to this machine.
type Keychain interface {
	Get(service, name string) (string, error)
	Set(service, name, secret string) error
}

// SystemKeychain is that of the operating system: Secret Service, macOS's keychain, Windows' credentials.
type SystemKeychain struct{}

// keychainService is what the keychain files our one secret under.
const keychainService = "userkeys"

// How long a keychain is waited for that does not answer. One that is locked asks
// the person by a dialog, where there is a screen for it.
const (
	keychainPatience = 3 * time.Second
	dialogPatience   = 30 * time.Second
)

// systemPatience is for the keychain that holds the secret of a store.
func systemPatience() time.Duration {
	unix := runtime.GOOS == "linux" || strings.HasSuffix(runtime.GOOS, "bsd")
	if unix && os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return keychainPatience
	}
	return dialogPatience
}

var (
	errNoSecret  = errors.New("the keychain has no such secret")
	errKeychains = errors.New("the keychain does not answer")
	errNoBus     = errors.New("there is no session bus, and so no keychain")
)

// Get implements [Keychain].
func (SystemKeychain) Get(service, name string) (string, error) {
	if noSessionBus() {
		return "", errNoBus
	}
	return patiently(systemPatience(), func() (string, error) {
		s, err := keyring.Get(service, name)
		if errors.Is(err, keyring.ErrNotFound) {
			err = errNoSecret
		}
		return s, err
	})
}

// Set implements [Keychain].
func (SystemKeychain) Set(service, name, secret string) error {
	if noSessionBus() {
		return errNoBus
	}
	_, err := patiently(systemPatience(), func() (string, error) { return "", keyring.Set(service, name, secret) })
	return err
}

// noSessionBus tells whether this is a Linux without a session bus, where the
// keychain would be. Looking for it there all the same would start a bus that stays
// behind.
func noSessionBus() bool {
	address := os.Getenv("DBUS_SESSION_BUS_ADDRESS")
	if runtime.GOOS != "linux" || address != "" && address != "autolaunch:" {
		return false
	}
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/run/user/" + strconv.Itoa(os.Getuid())} {
		for _, name := range []string{"bus", "dbus-session"} {
			if _, err := os.Stat(filepath.Join(dir, name)); dir != "" && err == nil {
				return false
			}
		}
	}
	return true
}

// patiently runs a call that nothing can interrupt, and waits for it so long. One that never ends is left behind: the
// program ends by itself soon after.
func patiently(patience time.Duration, call func() (string, error)) (string, error) {
	type result struct {
		s   string
		err error
	}
	done := make(chan result, 1)
	go func() {
		s, err := call()
		done <- result{s, err}
	}()
	select {
	case r := <-done:
		return r.s, r.err
	case <-time.After(patience):
		return "", errKeychains
	}
}

// secrets are what is kept, by the ids of accounts.
type secrets map[string]secret

// A secret holds what must stay with a key: whoever can change the rest of the
// file must not be able to send the key to another site.
type secret struct {
	Site       string `json:"site"`
	Name       string `json:"account,omitempty"`
	Key        string `json:"key"`
	PrivateKey string `json:"private_key,omitempty"` // PKCS#8 PEM, to renew with
}

// passphraseWork is scrypt's cost as a power of two: 64 MiB and a fifth of a second.
const passphraseWork = 16

// seal encrypts the secrets to whom the store's keeping says, as text.
func seal(all secrets, to age.Recipient) (string, error) {
	content, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, to)
	if err != nil {
		return "", err
	}
	if _, err = w.Write(content); err == nil {
		err = w.Close()
	}
	if err == nil {
		err = text.Close()
	}
	return out.String(), err
}

func unseal(text string, by age.Identity) (secrets, error) {
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(text)), by)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	all := secrets{}
	return all, json.NewDecoder(bytes.NewReader(content)).Decode(&all)
}
