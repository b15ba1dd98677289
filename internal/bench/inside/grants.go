package inside

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/bench"
	"userkeys/internal/bench/keyset"
	"userkeys/internal/bench/table"
	"userkeys/site"
	"userkeys/store"
)

// grantsInTurn is how many grants are timed together.
const grantsInTurn = 20

// grants is a site on SQLite, each user of which grants a key once, an app, and a database with nothing but answers.
type grants struct {
	*authority.Authority
	store *store.Store
	least *sql.DB
	app   *rsa.PublicKey
	pem   string
	users int
}

// Grants compares a grant, from the question to its stored answer, with the least that one can be: an RSA encryption
// and a row that is inserted.
func Grants(ctx context.Context, p Plan) ([]table.Line, error) {
	dir, err := os.MkdirTemp("", "userkeys-bench-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	g, err := newGrants(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = g.least.Close() }()
	leastGrants := func() error { return g.leastGrants(ctx) }
	if err := leastGrants(); err != nil { // once before it counts
		return nil, err
	}
	var ratios, costs []float64
	for range p.Blocks {
		callers, err := g.newUsers(ctx, grantsInTurn)
		if err != nil {
			return nil, err
		}
		before, err1 := spend(leastGrants)
		granted, err2 := spend(func() error { return g.grantAll(ctx, callers) })
		after, err3 := spend(leastGrants)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, err
		}
		ratios = append(ratios, 2*float64(granted)/float64(before+after))
		costs = append(costs, float64(granted.Microseconds())/grantsInTurn)
	}
	l := table.Of("grant on SQLite / an RSA encryption and an inserted row", bench.NewSpread(ratios), table.NoGoal)
	l.Note = fmt.Sprintf("(%.0f us)", bench.NewSpread(costs).Median)
	return []table.Line{l}, nil
}

func newGrants(ctx context.Context, dir string) (*grants, error) {
	st, err := keyset.OpenStore(ctx, dir)
	if err != nil {
		return nil, err
	}
	a, err := authority.New(ctx, authority.Config{Store: st, Logger: logger()})
	if err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	least, err := sql.Open("sqlite", store.SQLiteDSN(filepath.Join(dir, "least.db")))
	if err != nil {
		return nil, err
	}
	if _, err := least.ExecContext(ctx, "CREATE TABLE answers (id INTEGER PRIMARY KEY, answer BLOB)"); err != nil {
		return nil, errors.Join(err, least.Close())
	}
	return &grants{Authority: a, store: st, least: least, app: &key.PublicKey, pem: string(text)}, nil
}

// newUsers makes n users and returns them at their browsers.
func (g *grants) newUsers(ctx context.Context, n int) ([]site.Caller, error) {
	var callers []site.Caller
	for range n {
		g.users++
		name := fmt.Sprintf("user%d", g.users)
		u, err := g.store.CreateUser(ctx, site.Account{User: site.User{
			Username: name, TrustLevel: 1, Active: true, CreatedAt: time.Now().UTC(),
		}}, site.Caller{As: "system", User: site.User{Admin: true}})
		if err != nil {
			return nil, err
		}
		callers = append(callers, site.Caller{User: u, Session: site.Session{ID: "of " + name}, Address: "192.0.2.1"})
	}
	return callers, nil
}

func (g *grants) grantAll(ctx context.Context, callers []site.Caller) error {
	for i, by := range callers {
		q, err := g.Prepare(ctx, site.AuthorizationRequest{
			ApplicationName: "bench", ClientID: fmt.Sprintf("client-%d-%d", g.users, i), Nonce: "nonce",
			Scopes: userkeys.Scopes{userkeys.ScopeRead}, PublicKey: g.pem,
		}, by)
		if err != nil {
			return err
		}
		if _, err := g.Grant(ctx, authority.Approval{By: by, Consent: q.ID}); err != nil {
			return err
		}
	}
	return nil
}

// leastGrants does the least that grants can be, as often as grantAll grants.
func (g *grants) leastGrants(ctx context.Context) error {
	for range grantsInTurn {
		answer, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, g.app, make([]byte, 150), nil)
		if err != nil {
			return err
		}
		if _, err := g.least.ExecContext(ctx, "INSERT INTO answers (answer) VALUES (?)", answer); err != nil {
			return err
		}
	}
	return nil
}
