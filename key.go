package userkeys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
)

// The headers of the wire, in canonical spelling.
const (
	KeyHeader      = "User-Api-Key"
	ClientIDHeader = "User-Api-Client-Id"
)

// A Key is the text of a user API key, a secret. It does not print itself.
//
// Its shape: an optional prefix of at most three lower-case letters and an
// underscore, then 28 hex digits (112 random bits), then 4 hex digits of
// checksum over all before. 32 hex digits are what every shipped app accepts;
// the checksum refuses nearly every invented or mistyped key without a look-up.
type Key string

// KeyPattern is the regular expression of a key, for secret scanners.
const KeyPattern = `\b(?:[a-z]{1,3}_)?[0-9a-f]{32}\b`

const (
	keySecretBytes = 14
	keyHexLen      = 2*keySecretBytes + 4
	maxPrefixLen   = 3
)

// String hides the key, so that no log shows it by accident.
func (Key) String() string { return "[key]" }

// GoString hides the key from %#v.
func (Key) GoString() string { return "[key]" }

// Format hides the key from every other verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[key]")) }

// LogValue hides the key from slog, whose JSON would show it.
func (Key) LogValue() slog.Value { return slog.StringValue("[key]") }

// Reveal is the key's text, for the one place that hands it out.
func (k Key) Reveal() string { return string(k) }

// Hash is what is stored and looked up in place of the key.
func (k Key) Hash() KeyHash {
	var buf [maxPrefixLen + 1 + keyHexLen]byte // on the stack: this is on the path of every request
	if len(k) > len(buf) {
		return sha256.Sum256([]byte(k))
	}
	return sha256.Sum256(buf[:copy(buf[:], k)])
}

// KeyHash is the SHA-256 of a key's text.
type KeyHash [sha256.Size]byte

// Short is enough of the hash to find a key in a log: 12 hex digits.
func (h KeyHash) Short() string { return hex.EncodeToString(h[:6]) }

// NewKey makes a key from the system's randomness. The prefix is empty or a
// valid user_api_key_prefix.
func NewKey(prefix string) Key {
	var secret [keySecretBytes]byte
	_, _ = rand.Read(secret[:]) // crypto/rand.Read never fails
	if prefix != "" {
		prefix += "_"
	}
	text := hex.AppendEncode([]byte(prefix), secret[:])
	return Key(appendChecksum(text))
}

// ParseKey checks the shape and checksum of a key's text; every failure is [ErrInvalidKey].
func ParseKey(s string) (Key, error) {
	body := s
	if len(s) != keyHexLen {
		i := len(s) - keyHexLen - 1
		if i < 1 || i > maxPrefixLen || s[i] != '_' || !ValidKeyPrefix(s[:i]) {
			return "", ErrInvalidKey
		}
		body = s[i+1:]
	}
	var odd byte // without a branch for each digit: random digits are not to be predicted
	for i := range len(body) {
		odd |= notHex[body[i]]
	}
	if odd != 0 {
		return "", ErrInvalidKey
	}
	sum := crc16(s[:len(s)-4])
	for i := range 4 {
		if s[len(s)-1-i] != hexDigits[sum>>(4*i)&15] {
			return "", ErrInvalidKey
		}
	}
	return Key(s), nil
}

// ValidKeyPrefix reports whether s may be a site's user_api_key_prefix: at most
// three lower-case letters, or empty for none.
func ValidKeyPrefix(s string) bool {
	return len(s) <= maxPrefixLen && !strings.ContainsFunc(s, func(r rune) bool { return r < 'a' || r > 'z' })
}

const hexDigits = "0123456789abcdef"

func appendChecksum(text []byte) []byte {
	sum := crc16(string(text))
	return append(text, hexDigits[sum>>12], hexDigits[sum>>8&15], hexDigits[sum>>4&15], hexDigits[sum&15])
}

// crc16 is CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xffff): it finds every
// single wrong character and every swap of neighbours. It is no secret and
// needs none. Four bytes at a time, because every request pays for it.
func crc16(s string) uint16 {
	crc := uint16(0xffff)
	for ; len(s) >= 4; s = s[4:] {
		crc = crcTables[3][byte(crc>>8)^s[0]] ^ crcTables[2][byte(crc)^s[1]] ^ crcTables[1][s[2]] ^ crcTables[0][s[3]]
	}
	for i := range len(s) {
		crc = crc<<8 ^ crcTables[0][byte(crc>>8)^s[i]]
	}
	return crc
}

// crcTables[n][b] is the CRC, from 0, of b and n zero bytes.
var crcTables = func() (t [4][256]uint16) {
	for i := range t[0] {
		c := uint16(i) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
		t[0][i] = c
	}
	for n := 1; n < len(t); n++ {
		for i, c := range t[n-1] {
			t[n][i] = c<<8 ^ t[0][c>>8]
		}
	}
	return t
}()

// notHex[c] is 0 for the digits that keys are written in.
var notHex = func() (t [256]byte) {
	for c := range t {
		if c < '0' || c > '9' && c < 'a' || c > 'f' {
			t[c] = 1
		}
	}
	return t
}()
