package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"userkeys"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

const versionTable = "userkeys_migrations"

// migration is one step of the schema, in the SQL of one database.
type migration struct {
	version int64
	text    string
}

// migrations returns all steps in order.
func (s *Store) migrations() ([]migration, error) {
	files, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var out []migration
	for _, name := range files {
		text, err := fs.ReadFile(migrationFiles, name)
		if err != nil {
			return nil, err
		}
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s has no number: %v", name, err)
		}
		out = append(out, migration{version, s.inOurWords(string(text))})
	}
	return out, nil
}

// inOurWords replaces each {{name}} by the word of this database.
func (s *Store) inOurWords(text string) string {
	var pairs []string
	for name, word := range s.diff.names {
		pairs = append(pairs, "{{"+name+"}}", word)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// Migrate upgrades the schema to the version of this program, and returns how many steps it applied. Each step is one
// transaction. Many processes may call it at once.
func (s *Store) Migrate(ctx context.Context) (int, error) {
	applied := 0
	var seen int64
	for i := 1; ; i++ {
		st, err := s.inspect(ctx)
		if err != nil || st.have == st.want {
			return applied, err
		}
		if st.have > seen {
			seen, i = st.have, 1
		}
		n, err := s.migrateOnce(ctx)
		applied += n
		if err != nil && (s.d != SQLite || i == attempts) {
			return applied, fail(err)
		}
		// On SQLite another process may have been a moment faster: look again. Only attempts after which the schema
		// is as it was count, because the other may be faster at each of many steps.
		pause(ctx, i)
	}
}

func (s *Store) migrateOnce(ctx context.Context) (int, error) {
	p, err := s.provider(ctx)
	if err != nil {
		return 0, err
	}
	if s.writer != nil {
		select {
		case s.writer <- struct{}{}:
			defer func() { <-s.writer }()
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	results, err := p.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	return len(results), err
}

func (s *Store) provider(ctx context.Context) (*goose.Provider, error) {
	steps, err := s.migrations()
	if err != nil {
		return nil, err
	}
	var list []*goose.Migration
	for _, m := range steps {
		run := func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, m.text)
			return err
		}
		list = append(list, goose.NewGoMigration(m.version, &goose.GoFunc{RunTx: run}, nil))
	}
	options := []goose.ProviderOption{
		goose.WithGoMigrations(list...), goose.WithDisableGlobalRegistry(true),
		goose.WithTableName(versionTable), goose.WithLogger(goose.NopLogger()),
	}
	if s.d == Postgres {
		schema, err := one(s.outside(ctx), scanText, s.diff.schema)
		if err != nil {
			return nil, err
		}
		// One lock per schema: two sites in one database do not wait for each other.
		id := int64(crc32.ChecksumIEEE([]byte("userkeys " + schema)))
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(id), lock.WithLockTimeout(1, 60))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(s.diff.goose, s.db, nil, options...)
}

// SchemaVersion returns the version of the schema in the database, 0 if there is none, and the version that this
// program needs.
func (s *Store) SchemaVersion(ctx context.Context) (have, want int64, err error) {
	st, err := s.schema(ctx)
	return st.have, st.want, err
}

// Check returns an error for a schema that this program cannot work with: an older one, which needs [Store.Migrate],
// a newer one, which needs a newer program, or an incomplete one, which needs a backup.
func (s *Store) Check(ctx context.Context) error {
	st, err := s.inspect(ctx)
	if err != nil {
		return err
	}
	if st.have != st.want {
		return schemaError("the database has schema version %d, this program needs %d: run userkeys migrate", st.have,
			st.want)
	}
	return nil
}

func schemaError(format string, args ...any) error {
	return userkeys.Errorf(userkeys.Unavailable, format, args...)
}

// schemaState is the state of the schema in the database.
type schemaState struct {
	have, want int64
	versions   []int64  // steps that were taken, in order
	missing    []string // tables that should be there at this version
	stray      []string // tables of ours that no step made
}

// inspect returns an error for a schema that must not be changed, because it is newer than this program or
// incomplete. It reads the schema several times before that, until it does not change: another process may be
// migrating.
func (s *Store) inspect(ctx context.Context) (schemaState, error) {
	var seen int64
	for i := 1; ; i++ {
		st, err := s.schema(ctx)
		if err != nil {
			return st, err
		}
		if st.have > seen {
			seen, i = st.have, 1
		}
		if err = st.check(); err == nil || i == attempts {
			return st, err
		}
		pause(ctx, i)
	}
}

func (st schemaState) check() error {
	switch {
	case st.have > st.want:
		return schemaError("the database has schema version %d, newer than this program's %d: use a newer userkeys",
			st.have, st.want)
	case len(st.missing) > 0:
		return schemaError("the schema is half-run: it says version %d of %d but has no %s; restore a backup", st.have,
			st.want, strings.Join(st.missing, ", "))
	case len(st.stray) > 0:
		return schemaError("the schema is half-run: it says version %d of %d but has %s already; restore a backup", st.have,
			st.want, strings.Join(st.stray, ", "))
	}
	for i, v := range st.versions {
		if v != int64(i+1) {
			return schemaError("the schema is half-run: it says version %d of %d but step %d was never taken; restore a "+
				"backup", st.have, st.want, i+1)
		}
	}
	return nil
}

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

func (s *Store) schema(ctx context.Context) (schemaState, error) {
	steps, err := s.migrations()
	if err != nil {
		return schemaState{}, fail(err)
	}
	st := schemaState{want: steps[len(steps)-1].version}
	tables, err := read(ctx, s, func(c conn) ([]string, error) {
		return all(c, scanText, s.diff.tables)
	})
	if err != nil {
		return st, err
	}
	if slices.Contains(tables, versionTable) {
		st.versions, err = read(ctx, s, func(c conn) ([]int64, error) {
			return all(c, scanInt, "SELECT DISTINCT version_id FROM "+versionTable+" WHERE version_id > 0 ORDER BY version_id")
		})
		if err != nil {
			return st, err
		}
	}
	if n := len(st.versions); n > 0 {
		st.have = st.versions[n-1]
	}
	for _, m := range steps {
		for _, found := range createTable.FindAllStringSubmatch(m.text, -1) {
			exists := slices.Contains(tables, found[1])
			if m.version <= st.have && !exists {
				st.missing = append(st.missing, found[1])
			} else if m.version > st.have && exists {
				st.stray = append(st.stray, found[1])
			}
		}
	}
	return st, nil
}
