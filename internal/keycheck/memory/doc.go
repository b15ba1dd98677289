// Package memory has data structures for the table of keys in use of package keycheck: the texts of many keys, values
// that many keys have in common, and hashes of unknown keys. None of them is safe for concurrent use.
package memory
