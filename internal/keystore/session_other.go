//go:build !linux

package keystore

// Get implements [Session].
func (SystemSession) Get(string) (string, bool) { return "", false }

// Set implements [Session].
func (SystemSession) Set(string, string) {}

// Forget implements [Session].
func (SystemSession) Forget(string) bool { return false }
