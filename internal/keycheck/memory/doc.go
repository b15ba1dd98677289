// Package memory has the parts of what a check of keys keeps in memory. They know nothing of keys but their hashes, and
// none of them is safe for concurrent use.
package memory
