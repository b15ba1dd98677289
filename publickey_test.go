package userkeys_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"userkeys"
)

var (
	testKey        = appKey("app2048.pem")
	testPublicKey  = pemOf(&testKey.PublicKey)
	smallKey       = appKey("app1024.pem")
	otherPublicKey = pemOf(&smallKey.PublicKey)
)

// appKey reads a key pair that was made for the tests.
func appKey(name string) *rsa.PrivateKey {
	text, err := os.ReadFile("testdata/appkeys/" + name)
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return key.(*rsa.PrivateKey)
}

func pemOf(k *rsa.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// pkcs1PEM writes numbers that crypto/rsa would not.
func pkcs1PEM(t testing.TB, n, e *big.Int) string {
	t.Helper()
	der, err := asn1.Marshal(struct{ N, E *big.Int }{n, e})
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: der}))
}

// TestPublicKeyVectors reads every file of testdata/publickeys: lines "id:",
// "expect:" and perhaps "encoding: quoted", a blank line, and the text.
func TestPublicKeyVectors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/publickeys/*.txt")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := strings.Cut(string(text), "\n\n")
		fields := map[string]string{}
		for line := range strings.SplitSeq(head, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			fields[name] = value
		}
		if fields["encoding"] == "quoted" {
			body = unquote(t, body)
		}
		t.Run(fields["id"]+" "+filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			key, err := userkeys.ParsePublicKey(body)
			verdict, words, _ := strings.Cut(fields["expect"], " ")
			if verdict == "refuse" {
				mustRefuse(t, err, userkeys.InvalidPublicKey, words)
				if key != (userkeys.PublicKey{}) {
					t.Error("a key beside an error")
				}
				return
			}
			if err != nil || verdict != "accept" || strconv.Itoa(key.Bits()) != words {
				t.Errorf("%s: %d bits, %v", fields["expect"], key.Bits(), err)
			}
		})
	}
}

// TestPK19PrivateKeyIsNotRepeated: the refusal goes into pages and logs.
func TestPK19PrivateKeyIsNotRepeated(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/appkeys/app1024.pem")
	if err != nil {
		t.Fatal(err)
	}
	_, err = userkeys.ParsePublicKey(string(text))
	line := strings.Split(string(text), "\n")[1]
	if err == nil || strings.Contains(err.Error(), line[:10]) {
		t.Errorf("%v", err)
	}
}

func TestKeyNumbers(t *testing.T) {
	t.Parallel()
	n := testKey.N
	pow := func(exp int, plus int64) *big.Int {
		return new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), uint(exp)), big.NewInt(plus))
	}
	prime := func(bits int) *big.Int {
		p, err := rand.Prime(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := prime(512)
	// close is the next prime after p: Fermat's method finds them at once.
	next := func(p *big.Int, gap int64) *big.Int {
		q := new(big.Int).Add(p, big.NewInt(gap))
		for !q.ProbablyPrime(10) {
			q.Add(q, big.NewInt(2))
		}
		return q
	}
	times := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	f4 := big.NewInt(65537)
	for _, c := range []struct {
		name  string
		n, e  *big.Int
		words string // empty: accepted
	}{
		{"PK1 1023 bits", pow(1022, 1), f4, "has 1023 bits"},
		{"PK1 512 bits", times(prime(256), prime(256)), f4, "has 51"},
		{"E3 8193 bits", pow(8192, 1), f4, "has 8193 bits"},
		{"PK9 E = 1", n, big.NewInt(1), "exponent 1; use 65537"},
		{"PK9 E = 2", n, big.NewInt(2), "exponent 2; use 65537"},
		{"PK9 E = 65536", n, big.NewInt(65536), "exponent 65536"},
		{"PK9 E = 65538, even", n, big.NewInt(65538), "exponent 65538"},
		{"PK9 E = 0", n, big.NewInt(0), "no RSA key with an exponent"},
		{"PK9 E = -3", n, big.NewInt(-3), "no RSA key with an exponent"},
		{"PK10 E = 3", n, big.NewInt(3), "exponent 3; use 65537"},
		{"PK10 E = 17", n, big.NewInt(17), "exponent 17; use 65537"},
		{"PK11 E = 65537", n, f4, ""},
		{"PK11 E = 65539", n, big.NewInt(65539), ""},
		{"PK11 E = 2^31-1", n, pow(31, -1), ""},
		{"PK11 E = 2^31+1", n, pow(31, 1), "no RSA key with an exponent"},
		{"PK11 E = 2^62+1", n, pow(62, 1), "no RSA key with an exponent"},
		{"PK11 E = 2^64+1", n, pow(64, 1), "no RSA key with an exponent"},
		{"PK12 N even", times(n, big.NewInt(2)), f4, "small factor"},
		{"PK12 N = 3q", times(prime(1030), big.NewInt(3)), f4, "small factor"},
		{"PK12 N = 751q", times(prime(1030), big.NewInt(751)), f4, "small factor"},
		{"PK12 N = 757q is beyond the sieve", times(prime(1030), big.NewInt(757)), f4, ""},
		{"PK12 N = p*p", times(p, p), f4, "equal or close"},
		{"PK12 N of neighbours", times(p, next(p, 2)), f4, "equal or close"},
		{"PK12 N of primes about 2^256 apart", times(p, new(big.Int).Set(next(new(big.Int).Add(p, new(big.Int).Lsh(big.NewInt(1), 256)), 0))), f4, "equal or close"},
		{"PK9 N = 0", big.NewInt(0), f4, "no RSA key with an exponent"},
		{"PK9 N negative", new(big.Int).Neg(n), f4, "no RSA key with an exponent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			key, err := userkeys.ParsePublicKey(pkcs1PEM(t, c.n, c.e))
			if c.words != "" {
				mustRefuse(t, err, userkeys.InvalidPublicKey, c.words)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			// What is accepted can be sealed to.
			if _, err := (userkeys.Payload{Nonce: "1"}).Seal(key, userkeys.PaddingPKCS1); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRefusingAKeyIsCheap: a page that anybody may ask for must not be a way to
// keep the site busy (PK23).
func TestRefusingAKeyIsCheap(t *testing.T) {
	// Not parallel: it counts allocations.
	big := strings.Repeat("-----BEGIN", 100_000)
	if n := testing.AllocsPerRun(10, func() { _, _ = userkeys.ParsePublicKey(big) }); n > 10 {
		t.Errorf("%v allocations for 1 MB of garbage", n)
	}
}

func TestPublicKeyEqual(t *testing.T) {
	t.Parallel()
	var zero userkeys.PublicKey
	spki, err := userkeys.ParsePublicKey(testPublicKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1, err := userkeys.ParsePublicKey(pkcs1PEM(t, testKey.N, big.NewInt(int64(testKey.E))))
	if err != nil {
		t.Fatal(err)
	}
	other, err := userkeys.ParsePublicKey(otherPublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if !spki.Equal(pkcs1) || spki.Equal(other) || spki.Equal(zero) || zero.Equal(spki) || !zero.Equal(zero) {
		t.Error("Equal does not compare keys")
	}
	if zero.Bits() != 0 {
		t.Error("the zero key has bits")
	}
}

func BenchmarkParsePublicKey(b *testing.B) {
	for _, name := range []string{"spki_1024", "spki_2048", "spki_8192"} {
		b.Run(name, func(b *testing.B) {
			text, err := os.ReadFile("testdata/publickeys/" + name + ".txt")
			if err != nil {
				b.Fatal(err)
			}
			_, body, _ := strings.Cut(string(text), "\n\n")
			for b.Loop() {
				if _, err := userkeys.ParsePublicKey(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
