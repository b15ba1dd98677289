package userkeys

import (
	"math/big"
	"testing"
)

// TestDecodePunycode uses samples of RFC 3492, section 7.1, in lower case.
func TestDecodePunycode(t *testing.T) {
	t.Parallel()
	for encoded, want := range map[string]string{
		"egbpdaj6bu4bxfgehfvwxn":   "\u0644\u064a\u0647\u0645\u0627\u0628\u062a\u0643\u0644\u0645\u0648\u0634\u0639\u0631\u0628\u064a\u061f",
		"ihqwcrb4cv8a8dqg056pqjye": "\u4ed6\u4eec\u4e3a\u4ec0\u4e48\u4e0d\u8bf4\u4e2d\u6587",
		"3b-ww4c5e180e575a65lsy2b": "3\u5e74b\u7d44\u91d1\u516b\u5148\u751f",
		"bcher-kva":                "b\u00fccher",
		"i-7iq":                    "i\u2764",
		"":                         "",
		"-":                        "",
		"-a":                       "",
		"abc-":                     "",
		"a":                        "\u0080",
		"99999999":                 "",
		"a-b-":                     "",
		"bcher_kva":                "",
	} {
		got, ok := decodePunycode(encoded)
		if ok != (want != "") || ok && string(got) != want {
			t.Errorf("%s: %q, %v; want %q", encoded, string(got), ok, want)
		}
	}
}

// TestValidPunycode: what decodes may still be no part of a name.
func TestValidPunycode(t *testing.T) {
	t.Parallel()
	for encoded, want := range map[string]bool{
		"bcher-kva": true,
		"bcher-2pa": false, // an upper-case letter
		"ab-m1t":    false, // a character without width
		"a":         false, // a control character
		"a-wbb":     false, // a mark alone comes first
	} {
		runes, ok := decodePunycode(encoded)
		if got := validPunycode(encoded); got != want {
			t.Errorf("%s (%U, %v): %v", encoded, runes, ok, got)
		}
	}
}

func TestIsSquare(t *testing.T) {
	t.Parallel()
	for i := range int64(10_000) {
		root := new(big.Int).Sqrt(big.NewInt(i))
		want := root.Mul(root, root).Int64() == i
		if isSquare(big.NewInt(i)) != want {
			t.Errorf("%d: %v", i, !want)
		}
	}
}
