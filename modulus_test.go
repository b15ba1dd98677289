package userkeys

import (
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	mathrand "math/rand/v2"
	"strings"
	"testing"
)

// rocaPrime makes a prime as the faulty library of CVE-2017-15361 did: a multiple of a product of small primes, plus a
// power of 65537 modulo that product.
func rocaPrime(r *mathrand.Rand, bits, primes int) *big.Int {
	product := big.NewInt(2)
	for n, found := int64(3), 1; found < primes; n += 2 {
		if big.NewInt(n).ProbablyPrime(0) {
			product.Mul(product, big.NewInt(n))
			found++
		}
	}
	room := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), uint(bits)), product)
	for {
		k := new(big.Int).Mod(new(big.Int).SetUint64(r.Uint64()), room)
		p := k.SetBit(k, room.BitLen()-2, 1).Mul(k, product)
		p.Add(p, new(big.Int).Exp(big.NewInt(65537), new(big.Int).SetUint64(r.Uint64()), product))
		if p.BitLen() == bits && p.ProbablyPrime(20) {
			return p
		}
	}
}

// TestCVE_2017_15361_ROCA: keys of the faulty library are refused, and no others.
func TestCVE_2017_15361_ROCA(t *testing.T) {
	t.Parallel()
	r := mathrand.New(mathrand.NewPCG(1, 2))
	for _, size := range []struct{ bits, primes int }{{1024, 71}, {2048, 126}} { // as the library chose them
		n := new(big.Int).Mul(rocaPrime(r, size.bits/2, size.primes), rocaPrime(r, size.bits/2, size.primes))
		if problem := keyProblem(&rsa.PublicKey{N: n, E: 65537}); !strings.Contains(problem, "ROCA") {
			t.Errorf("%d bits: %q", size.bits, problem)
		}
	}
	for range 8 {
		key, err := rsa.GenerateKey(rand.Reader, 1024)
		if err != nil {
			t.Fatal(err)
		}
		if problem := keyProblem(&key.PublicKey); problem != "" {
			t.Errorf("a good key: %q", problem)
		}
	}
}
