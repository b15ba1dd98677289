package keystore

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const keyType = "user" // a secret that its owner may read

func description(name string) string { return "userkeys: " + name }

// inKeyring calls f with the session keyring; see keyrings(7). A system that begins no session of its own has one for
// all sessions of a user, which the kernel opens only if it is asked for before anything is put into it.
func inKeyring(f func(ring int)) {
	runtime.LockOSThread() // the kernel opens it for a thread
	defer runtime.UnlockOSThread()
	if ring, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false); err == nil {
		f(ring)
	}
}

// Get implements [Session].
func (SystemSession) Get(name string) (secret string, ok bool) {
	inKeyring(func(ring int) {
		id, err := unix.KeyctlSearch(ring, keyType, description(name), 0)
		if err != nil {
			return
		}
		text := make([]byte, 1<<15) // the kernel keeps no longer ones
		n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, text, 0)
		if err == nil && n <= len(text) {
			secret, ok = string(text[:n]), true
		}
	})
	return secret, ok
}

// Set implements [Session].
func (SystemSession) Set(name, secret string) {
	inKeyring(func(ring int) {
		id, err := unix.AddKey(keyType, description(name), []byte(secret), ring)
		if err != nil {
			return
		}
		if _, err := unix.KeyctlInt(unix.KEYCTL_SET_TIMEOUT, id, int(remembered/time.Second), 0, 0); err != nil {
			_, _ = unix.KeyctlInt(unix.KEYCTL_INVALIDATE, id, 0, 0, 0) // it would be remembered for ever
		}
	})
}

// Forget implements [Session].
func (SystemSession) Forget(name string) (was bool) {
	inKeyring(func(ring int) {
		id, err := unix.KeyctlSearch(ring, keyType, description(name), 0)
		if err != nil {
			return
		}
		_, err = unix.KeyctlInt(unix.KEYCTL_INVALIDATE, id, 0, 0, 0)
		was = err == nil
	})
	return was
}
