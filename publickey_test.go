package userkeys_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// A keyVector is a file of testdata/publickeys: lines "id:", "expect:" and
// perhaps "encoding: quoted", a blank line, and the text.
type keyVector struct{ id, file, verdict, words, text string }

func keyVectors(t testing.TB) []keyVector {
	t.Helper()
	files, err := filepath.Glob("testdata/publickeys/*.txt")
	if err != nil || len(files) < 90 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var out []keyVector
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
		v := keyVector{id: fields["id"], file: filepath.Base(file), text: body}
		v.verdict, v.words, _ = strings.Cut(fields["expect"], " ")
		out = append(out, v)
	}
	return out
}

func TestPublicKeyVectors(t *testing.T) {
	t.Parallel()
	for _, v := range keyVectors(t) {
		t.Run(v.id+" "+v.file, func(t *testing.T) {
			t.Parallel()
			key, err := userkeys.ParsePublicKey(v.text)
			if v.verdict == "refuse" {
				mustRefuse(t, err, userkeys.InvalidPublicKey, v.words)
				if key != (userkeys.PublicKey{}) {
					t.Error("a key beside an error")
				}
				return
			}
			if err != nil || v.verdict != "accept" || strconv.Itoa(key.Bits()) != v.words {
				t.Errorf("%s %s: %d bits, %v", v.verdict, v.words, key.Bits(), err)
			}
		})
	}
}

// TestOpenSSLReadsTheSameKey: what is accepted is what Discourse, which reads
// with OpenSSL, seals to; and what OpenSSL takes is refused only for one of the reasons
// that docs/divergences.md names.
func TestOpenSSLReadsTheSameKey(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no openssl")
		}
		t.Skip("no openssl: what OpenSSL takes is not compared")
	}
	for _, v := range keyVectors(t) {
		t.Run(v.file, func(t *testing.T) {
			t.Parallel()
			key, err := userkeys.ParsePublicKey(v.text)
			cmd := exec.CommandContext(t.Context(), "openssl", "pkey", "-pubin", "-outform", "DER")
			cmd.Stdin = strings.NewReader(v.text)
			theirs, failed := cmd.Output()
			switch {
			case err != nil && failed == nil:
				if !slices.ContainsFunc(strongerThanOpenSSL, func(words string) bool { return strings.Contains(err.Error(), words) }) {
					t.Errorf("OpenSSL takes it; refused: %v", err)
				}
			case err == nil && failed != nil:
				t.Errorf("OpenSSL refuses what is accepted: %v", failed)
			case err == nil:
				same, err := userkeys.ParsePublicKey(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: theirs})))
				if err != nil || !same.Equal(key) {
					t.Errorf("OpenSSL reads another key: %v", err)
				}
			}
		})
	}
}

// strongerThanOpenSSL are words of the refusals of what OpenSSL takes.
var strongerThanOpenSSL = []string{
	"more than one PEM block", "is a private key", "is a certificate", "bytes after the key", "is no RSA key", "bits; 1024 to 8192",
	"longer than 4096 bytes", "control characters", "no RSA key with an exponent", "and not a PUBLIC KEY or RSA PUBLIC KEY",
}

// FuzzPublicKey: what is accepted has one reading, whichever way a reader looks for the key.
func FuzzPublicKey(f *testing.F) {
	for _, v := range keyVectors(f) {
		f.Add(v.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := userkeys.ParsePublicKey(text)
		if err != nil {
			return
		}
		der, err := x509.MarshalPKIXPublicKey(rsaKeyOf(t, key, text))
		if err != nil {
			t.Fatal(err)
		}
		again, err := userkeys.ParsePublicKey(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
		if err != nil || !again.Equal(key) {
			t.Errorf("written anew it is another key: %v", err)
		}
		for rest := []byte(text); ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if other := goReading(block.Bytes); other != nil && !other.Equal(rsaKeyOf(t, key, text)) {
				t.Error("Go reads another key")
			}
		}
		if key.Bits() < 1024 || strings.Contains(text, "PRIVATE KEY") || strings.Count(text, "-----BEGIN") != 1 {
			t.Errorf("accepted %q", text)
		}
	})
}

// rsaKeyOf reads the key of an accepted text in the simplest way: the base64
// between its first and its last line, and in its DER the longest number and the last one.
func rsaKeyOf(t *testing.T, key userkeys.PublicKey, text string) *rsa.PublicKey {
	t.Helper()
	_, block, _ := strings.Cut(text, "-----BEGIN")
	block, _, _ = strings.Cut(block, "-----END")
	_, body, _ := strings.Cut(block, "\n")
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
	if err != nil {
		t.Fatal(err)
	}
	size := (key.Bits() + 7) / 8
	for i := len(der) - size; i > 0; i-- {
		tail := der[i+size:] // the exponent: tag, length, number
		if len(tail) < 3 || tail[0] != 2 || int(tail[1]) != len(tail)-2 {
			continue
		}
		k := &rsa.PublicKey{N: new(big.Int).SetBytes(der[i : i+size]), E: int(new(big.Int).SetBytes(tail[2:]).Int64())}
		if k.N.BitLen() == key.Bits() {
			return k
		}
	}
	t.Fatalf("no number of %d bits before an exponent in %q", key.Bits(), text)
	return nil
}

// goReading is the RSA key that Go's own readers find in DER; nil if they find none.
func goReading(der []byte) *rsa.PublicKey {
	if k, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return k
	}
	k, _ := x509.ParsePKIXPublicKey(der)
	rsaKey, _ := k.(*rsa.PublicKey)
	return rsaKey
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
		{"PK8 8193 bits", pow(8192, 1), f4, "has 8193 bits"},
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
