// Package watch keeps an eye on what is unread on many sites at once, each within half of the
// limits of its key, and shows it on a page for the person at this machine.
package watch
