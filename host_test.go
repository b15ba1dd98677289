package userkeys

import (
	"math/big"
	"net/url"
	"testing"
)

// TestValidPunycode has samples of RFC 3492, section 7.1, in lower case, and labels that do not decode, or
// decode to what is no part of a name.
func TestValidPunycode(t *testing.T) {
	t.Parallel()
	for encoded, want := range map[string]bool{
		"egbpdaj6bu4bxfgehfvwxn":   true,
		"ihqwcrb4cv8a8dqg056pqjye": true,
		"3b-ww4c5e180e575a65lsy2b": true,
		"bcher-kva":                true,
		"i-7iq":                    true,
		"":                         false,
		"-":                        false,
		"-a":                       false,
		"abc-":                     false,
		"99999999":                 false,
		"a-b-":                     false,
		"bcher_kva":                false,
		"bcher-2pa":                false, // an upper-case letter
		"ab-m1t":                   false, // a character without width
		"a":                        false, // a control character
		"a-wbb":                    false, // a mark alone comes first
		"kx9b":                     false, // half of a surrogate pair
	} {
		if got := validPunycode("xn--" + encoded); got != want {
			t.Errorf("%s: %v", encoded, got)
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
