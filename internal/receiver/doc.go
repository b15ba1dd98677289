// Package receiver is a small receiver of pushes, for authors of apps: it verifies the pushes that come to a push URL,
// stores them, shows them, and can fail on purpose, so that one can see what the site does then.
package receiver
