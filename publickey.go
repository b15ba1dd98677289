package userkeys

import (
	"crypto/rsa"
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxPublicKey is the longest public_key parameter, in bytes; a key of 8192 bits has about 1500.
const MaxPublicKey = 4096

// A PublicKey is an app's RSA key that answers may be sealed to. It proves
// nothing about the app: anybody may name anybody's public key, and then
// cannot read the answer.
type PublicKey struct{ rsa *rsa.PublicKey }

// ParsePublicKey reads one RSA key in PEM. It takes every text that OpenSSL
// takes and that nobody could read as two keys: text and comments before and
// after the block, white space at line ends and inside the block, a byte order
// mark, the label "PUBLIC KEY" or "RSA PUBLIC KEY" whichever of both the
// content is, an algorithm without parameters, and a modulus with more or fewer
// zero bytes in front than DER asks for. It refuses several blocks, private
// keys, certificates, bytes after the key, and keys that are weak in ways that
// anybody can find out, with a text that names the likely cause.
// Errors: [InvalidPublicKey].
func ParsePublicKey(text string) (PublicKey, error) {
	key, problem := readRSAKey(text)
	if problem == "" {
		problem = keyProblem(key)
	}
	if problem != "" {
		return PublicKey{}, Errorf(InvalidPublicKey, "public_key %s", problem)
	}
	return PublicKey{key}, nil
}

// Bits is the length of the key's modulus; 0 for the zero PublicKey.
func (k PublicKey) Bits() int {
	if k.rsa == nil {
		return 0
	}
	return k.rsa.N.BitLen()
}

// Equal reports whether k and other are the same key, however they were written.
func (k PublicKey) Equal(other PublicKey) bool {
	if k.rsa == nil || other.rsa == nil {
		return k.rsa == other.rsa
	}
	return k.rsa.Equal(other.rsa)
}

const (
	labelSPKI  = "PUBLIC KEY"
	labelPKCS1 = "RSA PUBLIC KEY"

	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
	pemDash  = "-----"

	keySpace      = " \t\r" // what may stand at line ends and between base64 digits
	byteOrderMark = "\ufeff"

	notBase64 = "has content that is not base64, or was cut off"
)

func readRSAKey(text string) (key *rsa.PublicKey, problem string) {
	if problem := keyTextProblem(text); problem != "" {
		return nil, problem
	}
	block, problem := pemBlock(strings.TrimPrefix(text, byteOrderMark))
	if problem != "" {
		return nil, problem
	}
	lines, problem := pemLines(block)
	if problem != "" {
		return nil, problem
	}
	der, problem := decodeBody(lines)
	if problem == "" {
		key, problem = parseRSAKey(der)
	}
	spaced := slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, " ") })
	if spaced && (problem == notBase64 || problem == notRSA) {
		return nil, "has spaces where + was: + was not percent-encoded as %2B"
	}
	return key, problem
}

// pemBlock returns the only PEM block of text, from its dashes at the begin of a line to the end of its last line.
func pemBlock(text string) (block, problem string) {
	switch n := strings.Count(text, "-----BEGIN"); {
	case strings.Contains(text, "PRIVATE KEY"):
		return "", "is a private key: whoever saw it can read what is meant for you, so treat it as leaked, make a " +
			"new pair and send the public half"
	case strings.Contains(text, "BEGIN CERTIFICATE"):
		return "", "is a certificate; send only its public key"
	case n > 1:
		return "", "has more than one PEM block"
	case n == 0 && strings.HasPrefix(text, "ssh-"):
		return "", "is in SSH's format; send PEM, as ssh-keygen -e -m pkcs8 writes it"
	case n == 0:
		if problem := damageProblem(text); problem != "" {
			return "", problem
		}
		return "", "is no PEM: it must begin with the line -----BEGIN PUBLIC KEY-----"
	}
	before, _, _ := strings.Cut(text, "-----BEGIN")
	block = text[len(before):]
	if i := strings.Index(block, "-----END"); i >= 0 {
		end, _, _ := strings.Cut(block[i:], "\n")
		block = block[:i+len(end)]
	}
	if problem := damageProblem(block); problem != "" {
		return "", problem
	}
	if before != "" && !strings.HasSuffix(before, "\n") {
		return "", "has something before -----BEGIN: it must stand at the begin of a line of its own"
	}
	return block, ""
}

// damageProblem recognises what commonly happens to a PEM block on its way here.
func damageProblem(block string) string {
	switch {
	case strings.Contains(block, `\n`):
		return `has the two characters \n where a line should end; send line ends (%0A)`
	case strings.Contains(block, "%"):
		return "was percent-encoded twice"
	case strings.Contains(block, "BEGIN+"):
		return "has + where spaces were: it was encoded as a form and then once more"
	case strings.Contains(block, "\n") || !strings.Contains(block, "-----BEGIN"):
		return ""
	case strings.Contains(block, "\r"):
		return "has line ends of CR alone; send LF or CRLF"
	}
	return "is all on one line: its line ends were lost; send them as %0A"
}

// pemLines returns the lines between the first and the last line of a block,
// without the white space around them.
func pemLines(block string) (lines []string, problem string) {
	lines = strings.Split(block, "\n")
	label, ok := pemLabel(lines[0], pemBegin)
	if !ok {
		return nil, "begins with a line that is not -----BEGIN PUBLIC KEY----- alone"
	}
	if label != labelSPKI && label != labelPKCS1 {
		return nil, "is a " + Quoted(label) + " and not a PUBLIC KEY or RSA PUBLIC KEY"
	}
	end, ok := pemLabel(lines[len(lines)-1], pemEnd)
	if !ok {
		return nil, "was cut off, or has something else on its last line: its last line must be -----END " + label +
			"----- alone"
	}
	if end != label {
		return nil, "begins as " + label + " and ends as " + Quoted(end)
	}
	lines = lines[1 : len(lines)-1]
	for i, line := range lines {
		lines[i] = strings.Trim(line, keySpace)
	}
	return lines, ""
}

// pemLabel reads the label of a first or last line, which may have white space behind it but none before it.
func pemLabel(line, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(strings.TrimRight(line, keySpace), prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, pemDash)
}

// keyTextProblem says why text cannot be a PEM at all; requests are held to it
// even where the key of a registered client is used in place of theirs.
func keyTextProblem(text string) string {
	if len(text) > MaxPublicKey {
		return "is longer than 4096 bytes"
	}
	if !utf8.ValidString(text) {
		return "is not text"
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return "has control characters"
		}
	}
	return ""
}

// CheckPublicKeyText refuses a public_key that cannot be PEM at all: too long, no text, or with control characters.
func CheckPublicKeyText(value string) error {
	if problem := keyTextProblem(value); problem != "" {
		return Errorf(InvalidParameters, "public_key %s", problem)
	}
	return nil
}

// decodeBody reads the base64 of the lines between the first and the last line.
// White space between the digits does not count. The first line may be blank; OpenSSL refuses
// other blank lines, for what is before one are headers.
func decodeBody(lines []string) (der []byte, problem string) {
	if len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return nil, "has no content"
	}
	for _, line := range lines {
		switch {
		case strings.Contains(line, ":"):
			return nil, "has header lines, which OpenSSL does not read"
		case line == "":
			return nil, "has a blank line inside"
		case strings.ContainsAny(line, "-_"):
			return nil, "has - or _ in its content: that is base64url and not base64"
		}
	}
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(keySpace, r) {
			return -1
		}
		return r
	}, strings.Join(lines, ""))
	der, err := base64.StdEncoding.Strict().DecodeString(digits)
	if err != nil || len(der) == 0 {
		return nil, notBase64
	}
	return der, ""
}
