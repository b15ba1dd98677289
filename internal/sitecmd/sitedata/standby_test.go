package sitedata

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"userkeys/internal/testkit/dbtest"
)

// Nothing is read from a standby, sessions and admin API keys neither; once it is the primary it serves.
func TestNothingIsReadFromAStandby(t *testing.T) {
	t.Parallel()
	p := dbtest.NewPair(t)
	db, err := openPostgres(p.StandbyDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.PingContext(t.Context()); !errors.Is(err, pgconn.ErrStandbyConnection) {
		t.Errorf("a standby answers with %v", err)
	}
	p.Promote()
	if err := db.PingContext(t.Context()); err != nil {
		t.Errorf("a primary answers with %v", err)
	}
}
