// Package receiver is a small receiver of pushes for authors of apps: it verifies what comes to a push URL, keeps it,
// tells what came, and can fail on purpose, in the ways in which receivers fail, to see what a site does then.
package receiver
