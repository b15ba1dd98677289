package userkeys

import (
	"math/big"
	"net/url"
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

func TestOriginHost(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://forum.example":            "forum.example",
		"https://Forum.EXAMPLE:443":        "forum.example",
		"http://forum.example:80/x":        "forum.example",
		"http://forum.example:443":         "forum.example:443",
		"https://forum.example.":           "forum.example",
		"https://b\u00fccher.example":      "xn--bcher-kva.example",
		"https://B\u00dcCHER.example:8443": "xn--bcher-kva.example:8443",
		"https://bu\u0308cher.example":     "xn--bcher-kva.example",
		"https://b%C3%BCcher.example":      "xn--bcher-kva.example",
		"https://xn--bcher-kva.example":    "xn--bcher-kva.example",
		"https://XN--BCHER-KVA.example":    "xn--bcher-kva.example",
		"https://stra\u00dfe.example":      "xn--strae-oqa.example",
		"https://\u4f8b\u3048\u3002jp":     "xn--r8jz45g.jp",
		"http://my_host:3000":              "my_host:3000",
		"http://127.0.0.1:8080":            "127.0.0.1:8080",
		"http://[::1]:8080":                "[::1]:8080",
		"http://[2001:DB8::1]":             "[2001:db8::1]",
		"https://a\u00ad.\u200d.example":   "",
		"https://\u2028.example":           "",
		"https://\u05d0a.example":          "",
		"https://x\uff0f.forum.example":    "",
		"https://x\u2100.forum.example":    "",
		"https://forum.example\uff20x":     "",
		"https://forum.example\uff1a80":    "",
		"https://forum.example\uff03x":     "",
		"https:///x":                       "",
		"https://.":                        "",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OriginHost(u)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%+q is %q (%v), want %q", in, got, err, want)
		}
	}
}
