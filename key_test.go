package userkeys_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"userkeys"
)

func TestKeyVectors(t *testing.T) {
	t.Parallel()
	const file = "keys.txt"
	for _, v := range vectorLines(t, file) {
		verdict, text, _ := strings.Cut(v.text, " ")
		text = unquote(t, text)
		t.Run(verdict+" "+v.note+" "+v.at(file), func(t *testing.T) {
			t.Parallel()
			k, err := userkeys.ParseKey(text)
			if verdict == "refuse" {
				if err != userkeys.ErrInvalidKey || k != "" {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || k.Reveal() != text {
				t.Errorf("%v", err)
			}
			if sum := sha256.Sum256([]byte(text)); k.Hash() != sum || k.Hash().Short() != hex.EncodeToString(sum[:6]) {
				t.Error("another hash than SHA-256 of the text")
			}
		})
	}
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile("^" + userkeys.KeyPattern + "$")
	seen := map[userkeys.Key]bool{}
	for _, prefix := range []string{"", "a", "ab", "abc"} {
		for range 200 {
			k := userkeys.NewKey(prefix)
			if got, err := userkeys.ParseKey(k.Reveal()); err != nil || got != k {
				t.Fatalf("%s does not parse", k.Reveal())
			}
			if !pattern.MatchString(k.Reveal()) || !strings.HasPrefix(k.Reveal(), prefix) || seen[k] {
				t.Fatalf("%s is not right or not new", k.Reveal())
			}
			seen[k] = true
		}
	}
	if n := len(userkeys.NewKey("")); n != 32 {
		t.Errorf("%d characters; 32 are what every app accepts", n)
	}
}

// TestChecksumFindsMistypings: every single wrong digit and every swap of neighbours.
func TestChecksumFindsMistypings(t *testing.T) {
	t.Parallel()
	text := testKeyText.Reveal()
	for i := range len(text) {
		for _, c := range "0123456789abcdef" {
			if wrong := text[:i] + string(c) + text[i+1:]; wrong != text {
				if _, err := userkeys.ParseKey(wrong); err == nil {
					t.Errorf("%s passes for %s", wrong, text)
				}
			}
		}
		if i > 0 && text[i-1] != text[i] {
			if _, err := userkeys.ParseKey(text[:i-1] + text[i:i+1] + text[i-1:i] + text[i+1:]); err == nil {
				t.Errorf("swap at %d passes", i)
			}
		}
	}
}

// TestKeyDoesNotPrintItself, by any of the ways a log line is made.
func TestKeyDoesNotPrintItself(t *testing.T) {
	t.Parallel()
	type holder struct{ K userkeys.Key }
	k := userkeys.Key("0123456789abcdef0123456789abf62c")
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s"} {
		fmt.Fprintf(&b, verb+verb+" ", k, holder{k})
	}
	fmt.Fprintln(&b, k, &k, k.String(), k.GoString(), fmt.Errorf("with %w", &userkeys.Error{Public: fmt.Sprint(k)}))
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("x", "key", k, "any", slog.AnyValue(k))
	}
	text := b.String()
	if strings.Contains(text, "0123456789abcdef") || strings.Contains(text, hex.EncodeToString([]byte("01234567"))) {
		t.Errorf("the key is in %s", text)
	}
	if j, err := json.Marshal(userkeys.Payload{Key: k}.JSON()); err != nil || len(j) == 0 {
		t.Error(err)
	}
}

func TestValidKeyPrefix(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]bool{"": true, "a": true, "abc": true, "abcd": false, "A": false, "1": false, "a_": false, "a1a": false, "\u00e9": false} {
		if userkeys.ValidKeyPrefix(prefix) != want {
			t.Errorf("%q", prefix)
		}
	}
}

// FuzzParseKey: only what NewKey could have made passes.
func FuzzParseKey(f *testing.F) {
	for _, v := range vectorLines(f, "keys.txt") {
		_, text, _ := strings.Cut(v.text, " ")
		f.Add(unquote(f, text))
	}
	pattern := regexp.MustCompile("^(?:[a-z]{1,3}_)?[0-9a-f]{32}$")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := userkeys.ParseKey(s)
		if err != nil {
			return
		}
		if k.Reveal() != s || !pattern.MatchString(s) || strings.HasSuffix(s, "\n") {
			t.Fatalf("%q passes", s)
		}
		if _, err := userkeys.ParseKey(s[:len(s)-1]); err == nil {
			t.Fatalf("%q passes without its end", s)
		}
	})
}

func BenchmarkParseKeyAndHash(b *testing.B) {
	for b.Loop() {
		k, err := userkeys.ParseKey("0123456789abcdef0123456789abf62c")
		if err != nil || k.Hash() == (userkeys.KeyHash{}) {
			b.Fatal(err)
		}
	}
}
