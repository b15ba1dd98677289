package userkeys

import (
	"crypto/rsa"
	"math/big"
	"strconv"
)

// The bounds of keys (PK1, PK8 to PK12). Below 1024 bits Go itself refuses to seal;
// above 8192 one seal costs too much. Exponents below 65537 have broken
// paddings before.
const (
	MinKeyBits   = 1024
	MaxKeyBits   = 8192
	minExponent  = 65537
	maxExponent  = 1<<31 - 1
	fermatRounds = 100
)

// keyProblem judges the numbers of a key, the cheap questions before the dear
// ones. It finds keys whose factors anybody can find: such a key
// would hand the user's API key to whoever sees the way back.
func keyProblem(key *rsa.PublicKey) string {
	bits := key.N.BitLen()
	switch {
	case bits < MinKeyBits || bits > MaxKeyBits:
		return "has " + strconv.Itoa(bits) + " bits; 1024 to 8192 are allowed, 2048 or more are good"
	case key.E < minExponent || key.E > maxExponent || key.E%2 == 0:
		return "has the exponent " + strconv.Itoa(key.E) + "; use 65537"
	case key.N.Bit(0) == 0, hasSmallFactor(key.N):
		return "has a modulus with a small factor: it is broken; make a new pair"
	case hasROCAFingerprint(key.N):
		return "was made by a chip or a library with a known fault (ROCA, CVE-2017-15361), by which its private key can be " +
			"found: make a new pair with another program"
	case hasCloseFactors(key.N):
		return "has a modulus whose factors are equal or close together: it is broken; make a new pair"
	}
	return ""
}

// smallPrimes are the odd primes below 752, and their product.
var smallPrimes, smallProduct = func() ([]int64, *big.Int) {
	var primes []int64
	product := big.NewInt(1)
	for n := int64(3); n < 752; n += 2 {
		if big.NewInt(n).ProbablyPrime(0) { // exact below 2^64
			primes = append(primes, n)
			product.Mul(product, big.NewInt(n))
		}
	}
	return primes, product
}()

func hasSmallFactor(n *big.Int) bool {
	r := new(big.Int).Mod(n, smallProduct)
	m := new(big.Int)
	for _, p := range smallPrimes {
		if m.Mod(r, big.NewInt(p)).Sign() == 0 {
			return true
		}
	}
	return false
}

// lastROCAPrime is the largest prime of which the faulty library's primes are multiples plus a power, in its
// shortest keys.
const lastROCAPrime = 167

// hasROCAFingerprint reports whether n is a power of 65537 modulo each small prime, as the keys of the faulty
// library of CVE-2017-15361 are. Of other keys fewer than one in a hundred million are.
func hasROCAFingerprint(n *big.Int) bool {
	m := new(big.Int)
	for _, p := range smallPrimes {
		if p > lastROCAPrime {
			break
		}
		rest, power := m.Mod(n, big.NewInt(p)).Int64(), int64(1)
		for power != rest {
			if power = power * minExponent % p; power == 1 {
				return false // that was all of them
			}
		}
	}
	return true
}

// hasCloseFactors is Fermat's method for a few rounds: n = a*a - b*b has the
// factors a+b and a-b, and a is near the root of n if they are near each other.
// Round 0 finds squares.
func hasCloseFactors(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	square := new(big.Int).Mul(a, a)
	if square.Cmp(n) == 0 {
		return true
	}
	b2 := new(big.Int)
	for range fermatRounds {
		a.Add(a, big.NewInt(1))
		b2.Sub(square.Mul(a, a), n)
		if isSquare(b2) {
			return true
		}
	}
	return false
}

// isSquare takes a root only of the one number in five that could be a square by its last bits.
func isSquare(n *big.Int) bool {
	const squaresMod64 = 0x0202021202030213 // bit i is set if some square is i modulo 64
	low := uint(0)
	if words := n.Bits(); len(words) > 0 {
		low = uint(words[0])
	}
	if squaresMod64>>(low%64)&1 == 0 {
		return false
	}
	root := new(big.Int).Sqrt(n)
	return root.Mul(root, root).Cmp(n) == 0
}
