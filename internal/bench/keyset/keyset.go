// Package keyset is the keys of a bench, and the stores that know them: a database as a site has it, and one in memory
// for millions of keys.
package keyset

import (
	"strings"

	"userkeys"
)

// Keys have a prefix, as those of many sites.
const (
	Prefix = "uk"
	length = len(Prefix) + 1 + 32
)

// Keys is the texts of many keys in one piece of memory.
type Keys string

// New makes n keys.
func New(n int) Keys {
	var b strings.Builder
	b.Grow(n * length)
	for range n {
		b.WriteString(userkeys.NewKey(Prefix).Reveal())
	}
	return Keys(b.String())
}

// Len returns how many keys there are.
func (k Keys) Len() int { return len(k) / length }

// Text returns the text of a key.
func (k Keys) Text(i int) string { return string(k[i*length : (i+1)*length]) }

// First returns the first n keys.
func (k Keys) First(n int) Keys { return k[:n*length] }

// Hash returns what a database knows of a key.
func (k Keys) Hash(i int) userkeys.KeyHash { return userkeys.Key(k.Text(i)).Hash() }
