package dbtest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"userkeys/store"
)

// Pair is a Postgres server with a standby that follows it asynchronously, and
// a store whose address leads to the one or to the other.
type Pair struct {
	*store.Store
	t      testing.TB
	schema string
	to     *switching

	primary, standby *pgx.ConnConfig
}

// NewPair makes a standby of the server that [PostgresEnv] names, by
// scripts/postgres. The test is skipped where there is no server or no standby can be made.
func NewPair(t testing.TB) *Pair {
	t.Helper()
	primary := postgresConfig(t)
	p := &Pair{t: t, schema: "test_" + randomHex(), primary: primary}
	p.exec(primary, "CREATE SCHEMA "+p.schema)
	t.Cleanup(func() { p.exec(primary, "DROP SCHEMA "+p.schema+" CASCADE") })
	p.to = &switching{now: p.connector(primary)}
	p.Store = Open(t, p.to.open(t), store.Postgres)
	p.standby = startStandby(t)
	return p
}

// Cut lets the standby have what was written so far, and nothing from now on.
func (p *Pair) Cut() {
	p.t.Helper()
	primary, standby := stdlib.OpenDB(*p.primary), stdlib.OpenDB(*p.standby)
	defer func() { _, _ = primary.Close(), standby.Close() }()
	var end string
	if err := primary.QueryRow("SELECT pg_current_wal_lsn()").Scan(&end); err != nil {
		p.t.Fatal(err)
	}
	p.until(standby, "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", end)
	p.exec(p.standby, "ALTER SYSTEM SET primary_conninfo = ''")
	p.exec(p.standby, "SELECT pg_reload_conf()")
	p.until(standby, "SELECT NOT EXISTS (SELECT 1 FROM pg_stat_wal_receiver)")
}

// until asks until the answer is true.
func (p *Pair) until(db *sql.DB, question string, args ...any) {
	p.t.Helper()
	for answer := false; !answer; {
		if err := db.QueryRowContext(p.t.Context(), question, args...).Scan(&answer); err != nil {
			p.t.Fatal(err)
		}
	}
}

// LeadToStandby leads the store to the standby, as an address does that moves.
func (p *Pair) LeadToStandby() { p.to.lead(p.connector(p.standby)) }

// StandbyDSN is how to reach the standby.
func (p *Pair) StandbyDSN() string { return p.standby.ConnString() }

// Promote makes the standby a primary, without what it was cut off from.
func (p *Pair) Promote() { p.exec(p.standby, "SELECT pg_promote(wait => true, wait_seconds => 60)") }

// Other is the store of another process: wherever this one's address leads to.
func (p *Pair) Other() *store.Store {
	p.t.Helper()
	return Open(p.t, p.to.open(p.t), store.Postgres)
}

func (p *Pair) connector(c *pgx.ConnConfig) driver.Connector {
	own := c.Copy()
	own.RuntimeParams["search_path"] = p.schema
	return stdlib.GetConnector(*own)
}

func (p *Pair) exec(c *pgx.ConnConfig, query string) {
	p.t.Helper()
	db := stdlib.OpenDB(*c)
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(context.Background(), query); err != nil {
		p.t.Fatal(err)
	}
}

// switching connects to where it leads now.
type switching struct {
	mu  sync.Mutex
	now driver.Connector
}

func (s *switching) lead(to driver.Connector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = to
}

// Connect makes a connection.
func (s *switching) Connect(ctx context.Context) (driver.Conn, error) {
	s.mu.Lock()
	to := s.now
	s.mu.Unlock()
	return to.Connect(ctx)
}

// Driver is that of the place where it leads now.
func (s *switching) Driver() driver.Driver {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Driver()
}

// open gives a database without idle connections, which would lead to where the address led before.
func (s *switching) open(t testing.TB) *sql.DB {
	db := sql.OpenDB(s)
	db.SetMaxOpenConns(4) // many tests share the server
	db.SetMaxIdleConns(-1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// moduleRoot is the folder of go.mod above the test's.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("there is no go.mod above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
}

// startStandby makes a standby that goes away with the test.
func startStandby(t testing.TB) *pgx.ConnConfig {
	t.Helper()
	script := filepath.Join(moduleRoot(t), "scripts", "postgres")
	dir, err := os.MkdirTemp("", "userkeys-standby.") // t.TempDir lets the service user of Postgres not in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	dsn, err := exec.CommandContext(t.Context(), script, "standby", dir, os.Getenv(PostgresEnv)).Output()
	if err != nil {
		reason := err.Error()
		if exit, ok := err.(*exec.ExitError); ok {
			reason = strings.TrimSpace(string(exit.Stderr))
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("no standby: %s", reason)
		}
		t.Skipf("no standby can be made of the server in %s: %s", PostgresEnv, reason)
	}
	t.Cleanup(func() { _ = exec.Command(script, "stop", dir).Run() })
	config, err := pgx.ParseConfig(strings.TrimSpace(string(dsn)))
	if err != nil {
		t.Fatal(err)
	}
	return config
}
