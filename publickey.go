package userkeys

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// maxPublicKey bounds the public_key parameter, in bytes; a key of 8192 bits has about 1500.
const maxPublicKey = 4096

// A PublicKey is an app's RSA key that answers may be sealed to. It proves
// nothing about the app: anybody may name anybody's public key, and then
// cannot read the answer.
type PublicKey struct{ rsa *rsa.PublicKey }

// ParsePublicKey reads one RSA key in PEM, "PUBLIC KEY" or "RSA PUBLIC KEY",
// with LF or CRLF. It is stricter than most readers: what OpenSSL and Go read
// differently, private keys, and keys that are weak in ways that anybody can
// find out are refused, with a text that names the likely cause.
func ParsePublicKey(text string) (PublicKey, error) {
	block, problem := readPEM(text)
	if problem != "" {
		return PublicKey{}, Errorf(InvalidPublicKey, "public_key %s", problem)
	}
	key, problem := block.rsaKey()
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

// Equal tells whether k and other are the same key, however they were written.
func (k PublicKey) Equal(other PublicKey) bool {
	if k.rsa == nil || other.rsa == nil {
		return k.rsa == other.rsa
	}
	return k.rsa.Equal(other.rsa)
}

type pemBlock struct {
	label string
	der   []byte
}

const (
	labelSPKI  = "PUBLIC KEY"
	labelPKCS1 = "RSA PUBLIC KEY"

	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
	pemDash  = "-----"
)

// readPEM reads exactly one PEM block and nothing else but blank lines around it.
func readPEM(text string) (b pemBlock, problem string) {
	if problem := keyTextProblem(text); problem != "" {
		return b, problem
	}
	text = strings.Trim(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if problem := damageProblem(text); problem != "" {
		return b, problem
	}
	lines := strings.Split(text, "\n")
	label, ok := pemLabel(lines[0], pemBegin)
	if !ok {
		return b, "has something before the line -----BEGIN PUBLIC KEY-----, or spaces around it"
	}
	if label != labelSPKI && label != labelPKCS1 {
		return b, "is a " + shown(label) + " and not a PUBLIC KEY or RSA PUBLIC KEY"
	}
	end, ok := pemLabel(lines[len(lines)-1], pemEnd)
	if !ok {
		return b, "was cut off or has something after it: its last line must be -----END " + label + "-----"
	}
	if end != label {
		return b, "begins as " + label + " and ends as " + shown(end)
	}
	b.label = label
	b.der, problem = decodeBody(lines[1 : len(lines)-1])
	return b, problem
}

func pemLabel(line, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(line, prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, pemDash)
}

// keyTextProblem says why text cannot be a PEM at all; requests are held to it
// even where the key of a registered client is used in place of theirs.
func keyTextProblem(text string) string {
	if len(text) > maxPublicKey {
		return "is longer than 4096 bytes"
	}
	if !utf8.ValidString(text) {
		return "is not text"
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\t':
			return "has tabs: its lines must not be indented"
		case (c < ' ' && c != '\n' && c != '\r') || c == 0x7f:
			return "has control characters"
		}
	}
	return ""
}

// damageProblem recognises what commonly happens to a PEM on its way here.
func damageProblem(text string) string {
	switch {
	case strings.Contains(text, "PRIVATE KEY"):
		return "is a private key: whoever saw it can read what is meant for you, so treat it as leaked, make a new pair and send the public half"
	case strings.Contains(text, "BEGIN CERTIFICATE"):
		return "is a certificate; send only its public key"
	case strings.HasPrefix(text, "ssh-"):
		return "is in SSH's format; send PEM, as ssh-keygen -e -m pkcs8 writes it"
	case strings.Contains(text, `\n`):
		return `has the two characters \n where a line should end; send line ends (%0A)`
	case strings.Contains(text, "%"):
		return "was percent-encoded twice"
	case strings.Contains(text, "BEGIN+"):
		return "has + where spaces were: it was encoded as a form and then once more"
	case strings.Contains(text, "\r"):
		return "has line ends of CR alone; send LF or CRLF"
	case !strings.Contains(text, "-----BEGIN"):
		return "is no PEM: it must begin with the line -----BEGIN PUBLIC KEY-----"
	case strings.Count(text, "-----BEGIN") > 1:
		return "has more than one PEM block"
	case !strings.Contains(text, "\n"):
		return "is all on one line: its line ends were lost; send them as %0A"
	}
	return ""
}

func decodeBody(lines []string) (der []byte, problem string) {
	for _, line := range lines {
		switch {
		case strings.Contains(line, ":"):
			return nil, "has header lines, which OpenSSL does not read"
		case line == "":
			return nil, "has a blank line inside or no content"
		case line[0] == ' ' || line[len(line)-1] == ' ':
			return nil, "has spaces at the begin or end of lines"
		case strings.Contains(line, " "):
			return nil, "has spaces where + was: + was not percent-encoded as %2B"
		case strings.ContainsAny(line, "-_"):
			return nil, "has - or _ in its content: that is base64url and not base64"
		}
	}
	der, err := base64.StdEncoding.Strict().DecodeString(strings.Join(lines, ""))
	if err != nil || len(der) == 0 {
		return nil, "has content that is not base64, or was cut off"
	}
	return der, ""
}

const notRSA = "has content that is no RSA key with an exponent such as 65537, or was cut off"

// rsaKey reads the block's DER, which must be what its label says.
func (b pemBlock) rsaKey() (key *rsa.PublicKey, problem string) {
	if b.label == labelPKCS1 {
		key, err := x509.ParsePKCS1PublicKey(b.der)
		if err == nil {
			return key, ""
		}
		if _, err := x509.ParsePKIXPublicKey(b.der); err == nil {
			return nil, "is labelled RSA PUBLIC KEY but has the content of a PUBLIC KEY"
		}
		return nil, notRSA
	}
	parsed, err := x509.ParsePKIXPublicKey(b.der)
	if err != nil {
		if _, err := x509.ParsePKCS1PublicKey(b.der); err == nil {
			return nil, "is labelled PUBLIC KEY but has the content of an RSA PUBLIC KEY"
		}
		return nil, notRSA
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, "is no RSA key"
	}
	return key, ""
}
