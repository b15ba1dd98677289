package wiring

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
)

// TestSecretMadeByAnotherMeanwhile: of two programs that start at the same time,
// one may look for the file before the other made it, and for the mark in the database after.
func TestSecretMadeByAnotherMeanwhile(t *testing.T) {
	t.Parallel()
	f := SecretFile{
		Path: filepath.Join(t.TempDir(), "userkeys.secret"), Own: true, Caller: site.Caller{As: site.CallerCommand},
		Now: func() time.Time { return time.Unix(1, 0) }, Logger: slog.New(slog.DiscardHandler),
	}
	st := dbtest.SQLite(t)
	theirs, err := OpenSecret(t.Context(), st, f)
	if err != nil {
		t.Fatal(err)
	}
	if ours, err := f.make(t.Context(), st); err != nil || !bytes.Equal(ours, theirs) {
		t.Errorf("%d bytes, the same: %v; %v", len(ours), bytes.Equal(ours, theirs), err)
	}
}
