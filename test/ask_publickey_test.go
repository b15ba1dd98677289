package scenario_test

// Asking for a key: the public key of an app, and what fits into the answer that is sealed to it. Group PK of
// docs/attacks.md.

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode"

	"userkeys/internal/testkit"
)

// otherKey is a key pair of another app.
var otherKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// TestPublicKeys sends every public key of the protocol's vectors to a whole site.
func TestPublicKeys(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/publickeys/*.txt")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	onSQLite(t, func(sc *scene) {
		for _, file := range files {
			sc.publicKeyRow(file)
		}
		for what, public := range oddKeys(sc.t) {
			sc.refusedAsk(what, pageRefusal.saying("public_key has"), sc.ask("public_key", public))
		}
	})
}

func (sc *scene) publicKeyRow(file string) {
	sc.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		sc.t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(text), "\n\n")
	fields := map[string]string{}
	for line := range strings.Lines(head) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		fields[name] = value
	}
	if fields["encoding"] == "quoted" {
		if body, err = strconv.Unquote(body); err != nil {
			sc.t.Fatal(err)
		}
	}
	verdict, words, _ := strings.Cut(fields["expect"], " ")
	name := fields["id"] + " " + filepath.Base(file)
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }
	switch {
	case strings.TrimSpace(body) == "":
		sc.refusedAsk(name, missing.saying("public_key"), sc.ask("public_key", body))
	case verdict == "accept":
		sc.shown(name, sc.ask("public_key", body), "RSA, "+words+" bits")
	case len(body) > 4096 || strings.ContainsFunc(body, control):
		sc.refusedAsk(name, malformed.saying("public_key"), sc.ask("public_key", body))
	default:
		sc.refusedAsk(name, pageRefusal.saying(words), sc.ask("public_key", body))
	}
	if lines := strings.Split(body, "\n"); strings.HasPrefix(filepath.Base(file), "private") {
		sc.row("PK19 a private key is neither said nor logged nor kept: "+name, func(sc *scene) {
			sc.alice.Get("/user-api-key/new?"+sc.ask("public_key", body)).MustNot(sc.t, lines[1])
			if strings.Contains(sc.Log.String(), lines[1][:20]) {
				sc.t.Error("a private key is in the log")
			}
		})
	}
}

// oddKeys are keys whose numbers are weak or wrong (PK1, PK8 to PK12).
func oddKeys(t *testing.T) map[string]string {
	t.Helper()
	n := otherKey().N
	prime := func(bits int) *big.Int {
		p, err := rand.Prime(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := prime(512)
	next := new(big.Int).Add(p, big.NewInt(2))
	for !next.ProbablyPrime(10) {
		next.Add(next, big.NewInt(2))
	}
	times := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	keys := map[string]*rsa.PublicKey{
		"PK9 exponent 1":           {N: n, E: 1},
		"PK9 exponent 2":           {N: n, E: 2},
		"PK9 exponent 65536":       {N: n, E: 65536},
		"PK10 exponent 3":          {N: n, E: 3},
		"PK11 exponent 2^31+1":     {N: n, E: 1<<31 + 1},
		"PK11 exponent 2^62+1":     {N: n, E: 1<<62 + 1},
		"PK12 an even modulus":     {N: new(big.Int).Add(n, big.NewInt(1)), E: 65537},
		"PK12 a modulus of 3 q":    {N: times(big.NewInt(3), prime(1023)), E: 65537},
		"PK12 a square modulus":    {N: times(p, p), E: 65537},
		"PK12 close primes":        {N: times(p, next), E: 65537},
		"PK1 a key of 1 023 bits":  {N: times(prime(511), prime(512)), E: 65537},
		"PK8 a key of 16 384 bits": {N: new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 16383), big.NewInt(1)), E: 65537},
	}
	out := map[string]string{}
	for what, k := range keys {
		out[what] = testkit.PublicPEM(k)
	}
	return out
}

// TestPayloadSizes grants with the longest nonce that fits, and refuses the next longer one.
func TestPayloadSizes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../testdata/appkeys/app1024.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	small := parsePrivate(t, block.Bytes)
	onSQLite(t, func(sc *scene) {
		for _, c := range []struct {
			row, padding, expires string
			longest               int
		}{
			{"PK2 1 024 bits", "pkcs1", absent, 43},
			{"PK3 1 024 bits and OAEP", "oaep", absent, 12},
			{"PK6 1 024 bits with an expiry", "pkcs1", "60", 7},
		} {
			with := func(length int) []string {
				return []string{
					"public_key", testkit.PublicPEM(&small.PublicKey), "nonce", strings.Repeat("n", length), "padding",
					c.padding, "expires_in_seconds", c.expires,
				}
			}
			sc.row(sprint("%s: a nonce of %d fits", c.row, c.longest), func(sc *scene) {
				app := sc.App("small", "read").With(with(c.longest)...)
				if app.Private = small; c.expires == absent {
					app.Params.Del("expires_in_seconds")
				}
				app.Connect(sc.alice).Call("GET", "/session/current.json").Must(sc.t, 200)
			})
			sc.refusedAsk(sprint("%s: a nonce of %d does not", c.row, c.longest+1), pageRefusal.saying("too large"),
				sc.ask(with(c.longest+1)...))
		}
		for _, nonce := range []string{`<>&"'`, "\u00e9\u4e2d\U0001f600", "a b+c%20", `\u0041`} {
			sc.row(sprint("PK7 the nonce comes back as it was: %q", nonce), func(sc *scene) {
				sc.App("nonce", "read").With("nonce", nonce).Connect(sc.alice)
			})
		}
		sc.row("PK27 the same request twice is sealed twice", func(sc *scene) {
			seen := map[string]bool{}
			for range 2 {
				page := sc.App("again", "read").Approve(sc.alice)
				sealed, ok := page.Text("user-api-key-payload")
				if seen[sealed] || !ok {
					sc.t.Error("the same ciphertext")
				}
				seen[sealed] = true
			}
		})
	})
}

func parsePrivate(t *testing.T, der []byte) *rsa.PrivateKey {
	t.Helper()
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return k.(*rsa.PrivateKey)
}
