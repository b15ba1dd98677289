// Package watch asks many sites again and again what is unread there, with at most half of the calls that each key may
// make, and shows it on a page for the user of this machine.
package watch
