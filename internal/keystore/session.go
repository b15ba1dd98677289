package keystore

import "time"

// A Session remembers a small secret for the person, in memory only, while they are signed in to this machine.
type Session interface {
	// Get returns the secret of a name, if it is remembered.
	Get(name string) (secret string, ok bool)
	// Set remembers a secret for some hours. It need not succeed: then the person is asked again.
	Set(name, secret string)
	// Forget forgets a secret, and reports whether it was remembered.
	Forget(name string) bool
}

// SystemSession is what the system remembers for a session: on Linux the session keyring of the kernel, which no other
// user can read, and which is gone when the session ends. Elsewhere nothing is remembered; those systems have a
// keychain.
type SystemSession struct{}

// remembered is how long a session remembers a secret.
const remembered = 12 * time.Hour
