package userkeys_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/site"
)

const testKeyText = userkeys.Key("0123456789abcdef0123456789abf62c")

func parsedKey(t testing.TB, pem string) userkeys.PublicKey {
	t.Helper()
	k, err := userkeys.ParsePublicKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestPayloadJSON holds the plain text to W6.2 and to what shipped apps read.
func TestPayloadJSON(t *testing.T) {
	t.Parallel()
	end := time.Date(2030, 1, 2, 4, 4, 5, 999, time.FixedZone("", 3600))
	for _, c := range []struct {
		name string
		p    userkeys.Payload
		want string
	}{
		{"plain", userkeys.Payload{Key: testKeyText, Nonce: "1"}, `{"key":"0123456789abcdef0123456789abf62c","nonce":"1","push":false,"api":4}`},
		{"push", userkeys.Payload{Key: testKeyText, Nonce: "1", Push: true}, `{"key":"0123456789abcdef0123456789abf62c","nonce":"1","push":true,"api":4}`},
		{"an end, in UTC and whole seconds", userkeys.Payload{Key: "k", Nonce: "1", ExpiresAt: end}, `{"key":"k","nonce":"1","push":false,"api":4,"expires_at":"2030-01-02T03:04:05Z"}`},
		{"another version", userkeys.Payload{Key: "k", Nonce: "1", API: 5}, `{"key":"k","nonce":"1","push":false,"api":5}`},
		{"PK7 HTML is one byte each", userkeys.Payload{Key: "k", Nonce: "<>&'"}, `{"key":"k","nonce":"<>&'","push":false,"api":4}`},
		{"quotes and backslashes are two", userkeys.Payload{Key: "k", Nonce: `"\`}, `{"key":"k","nonce":"\"\\","push":false,"api":4}`},
		{"no nonce is still a string", userkeys.Payload{Key: "k"}, `{"key":"k","nonce":"","push":false,"api":4}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := string(c.p.JSON()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestPayloadSizes asserts the numbers of W6.2 and W6.3: what fits, to the byte.
func TestPayloadSizes(t *testing.T) {
	t.Parallel()
	nonce := func(n int) string { return strings.Repeat("n", n) }
	end := time.Unix(1e9, 0)
	sizes := []struct {
		name string
		p    userkeys.Payload
		want int
	}{
		{"push false", userkeys.Payload{Key: testKeyText, Nonce: nonce(10)}, 74 + 10},
		{"push true", userkeys.Payload{Key: testKeyText, Nonce: nonce(10), Push: true}, 73 + 10},
		{"with an end", userkeys.Payload{Key: testKeyText, Nonce: nonce(10), ExpiresAt: end}, 74 + 36 + 10},
	}
	for _, c := range sizes {
		if got := len(c.p.JSON()); got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		name    string
		file    string
		padding userkeys.Padding
		end     time.Time
		most    int
	}{
		{"PK2 1024 PKCS#1", "spki_1024", userkeys.PaddingPKCS1, time.Time{}, 43},
		{"PK3 1024 OAEP", "spki_1024", userkeys.PaddingOAEP, time.Time{}, 12},
		{"PK6 1024 PKCS#1 with an end", "spki_1024", userkeys.PaddingPKCS1, end, 7},
		{"2048 PKCS#1", "spki_2048", userkeys.PaddingPKCS1, time.Time{}, 171},
		{"2048 OAEP", "spki_2048", userkeys.PaddingOAEP, time.Time{}, 140},
		{"4096 PKCS#1", "spki_4096", userkeys.PaddingPKCS1, time.Time{}, 427},
		{"4096 OAEP", "spki_4096", userkeys.PaddingOAEP, time.Time{}, 396},
		{"4096 OAEP with SHA-256", "spki_4096", userkeys.PaddingOAEP256, time.Time{}, 372},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("testdata/publickeys/" + c.file + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			_, body, _ := strings.Cut(string(text), "\n\n")
			key := parsedKey(t, body)
			p := userkeys.Payload{Key: testKeyText, Nonce: nonce(c.most), ExpiresAt: c.end}
			if _, err := p.Seal(key, c.padding); err != nil {
				t.Errorf("a nonce of %d: %v", c.most, err)
			}
			p.Nonce += "n"
			name := map[userkeys.Padding]string{userkeys.PaddingPKCS1: "PKCS#1", userkeys.PaddingOAEP: "OAEP", userkeys.PaddingOAEP256: "OAEP with SHA-256"}[c.padding]
			words := "Payload too large for " + name + ": it has " + strconv.Itoa(len(p.JSON())) + " bytes"
			_, err = p.Seal(key, c.padding)
			mustRefuse(t, err, userkeys.PayloadTooLarge, words)
			mustRefuse(t, p.Fits(key, c.padding), userkeys.PayloadTooLarge, "at most "+strconv.Itoa(len(p.JSON())-1))
		})
	}
}

// TestPK29SealedLayout asserts the base64 of W6.4.
func TestPK29SealedLayout(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][2]int{"spki_1024": {3, 175}, "spki_2048": {6, 350}, "spki_4096": {12, 696}, "spki_8192": {23, 1391}} {
		text, err := os.ReadFile("testdata/publickeys/" + file + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := strings.Cut(string(text), "\n\n")
		sealed, err := userkeys.Payload{Key: testKeyText, Nonce: "1"}.Seal(parsedKey(t, body), userkeys.PaddingOAEP)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(sealed, "\n")
		if len(lines) != want[0]+1 || lines[want[0]] != "" || len(sealed) != want[1] {
			t.Errorf("%s: %d lines, %d characters: want %v and a final newline", file, len(lines)-1, len(sealed), want)
		}
		for _, line := range lines[:want[0]-1] {
			if len(line) != 61 {
				t.Errorf("%s: a line of %d", file, len(line)-1)
			}
		}
		if escaped := url.QueryEscape(sealed); strings.ContainsAny(escaped, "+/=\n") {
			t.Errorf("%s: not escaped: %s", file, escaped)
		}
	}
}

// TestPK27SealingTwiceDiffers: equal texts would tell that two keys are one.
func TestPK27SealingTwiceDiffers(t *testing.T) {
	t.Parallel()
	p := userkeys.Payload{Key: testKeyText, Nonce: "1", Push: true, API: 4}
	for _, padding := range []userkeys.Padding{userkeys.PaddingPKCS1, userkeys.PaddingOAEP, userkeys.PaddingOAEP256} {
		var texts [2]string
		for i := range texts {
			var err error
			if texts[i], err = p.Seal(parsedKey(t, testPublicKey), padding); err != nil {
				t.Fatal(err)
			}
			got, err := userkeys.OpenPayload(testKey, padding, texts[i])
			if d := cmp.Diff(p, got); err != nil || d != "" {
				t.Errorf("%v %s", err, d)
			}
		}
		if texts[0] == texts[1] {
			t.Error("sealed twice to the same text")
		}
	}
}

func TestSealRefuses(t *testing.T) {
	t.Parallel()
	p := userkeys.Payload{Key: testKeyText, Nonce: "1"}
	_, err := p.Seal(userkeys.PublicKey{}, userkeys.PaddingOAEP)
	mustRefuse(t, err, userkeys.InvalidPublicKey, "no public key")
	_, err = p.Seal(parsedKey(t, testPublicKey), "oaep-512")
	mustRefuse(t, err, userkeys.InvalidPadding, "no padding")
	_, err = userkeys.OpenPayload(nil, userkeys.PaddingOAEP, "")
	mustRefuse(t, err, userkeys.InvalidParameters, "no private key")
	_, err = userkeys.OpenPayload(testKey, "", "")
	mustRefuse(t, err, userkeys.InvalidPadding, "no padding")
}

func TestParsePadding(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]userkeys.Padding{"": "pkcs1", " ": "pkcs1", "pkcs1": "pkcs1", "oaep": "oaep", "oaep-256": "oaep-256"} {
		if got, err := userkeys.ParsePadding(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"OAEP", "oaep ", "none", "pkcs1v15", "oaep-512", "OAEP-256", "\u200b"} {
		got, err := userkeys.ParsePadding(text)
		mustRefuse(t, err, userkeys.InvalidPadding, "pkcs1 or oaep")
		if got != "" {
			t.Errorf("RQ24 %q falls back to %q", text, got)
		}
	}
}

// TestPayloadVectors opens what another implementation sealed, in the states in
// which it reaches apps.
func TestPayloadVectors(t *testing.T) {
	t.Parallel()
	const file = "payloads.txt"
	lines := vectorLines(t, file)
	for i := 0; i < len(lines); i += 2 {
		v := lines[i]
		f := strings.SplitN(v.text, " ", 5)
		text := unquote(t, lines[i+1].text)
		t.Run(f[0]+" "+f[3]+" "+v.at(file), func(t *testing.T) {
			t.Parallel()
			key := testKey
			if f[1] == "1024" {
				key = smallKey
			}
			got, err := userkeys.OpenPayload(key, userkeys.Padding(f[2]), text)
			if f[3] == "refuse" {
				mustRefuse(t, err, userkeys.InvalidParameters, f[4])
				if got != (userkeys.Payload{}) {
					t.Errorf("something opened beside an error: %v", got)
				}
				return
			}
			if err != nil || string(got.JSON()) != f[4] {
				t.Errorf("got  %s, %v\nwant %s", got.JSON(), err, f[4])
			}
		})
	}
}

// TestPK28FIPSOnly: in Go's strictest mode nothing of the wire can be sealed, and that is
// a refusal with its reason and no crash. The mode is of a whole process, so this runs itself again.
func TestPK28FIPSOnly(t *testing.T) {
	if os.Getenv("USERKEYS_FIPS_CHILD") == "" {
		t.Parallel()
		cmd := exec.Command(os.Args[0], "-test.run=^TestPK28FIPSOnly$", "-test.v")
		cmd.Env = append(os.Environ(), "USERKEYS_FIPS_CHILD=1", "GODEBUG=fips140=only")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestPK28FIPSOnly")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	for _, pem := range []string{testPublicKey, otherPublicKey} {
		key := parsedKey(t, pem)
		for _, padding := range []userkeys.Padding{userkeys.PaddingPKCS1, userkeys.PaddingOAEP} {
			p := userkeys.Payload{Key: userkeys.NewKey(""), Nonce: "1"}
			mustRefuse(t, p.Fits(key, padding), userkeys.InvalidPadding, "FIPS 140-only")
			_, err := p.Seal(key, padding)
			mustRefuse(t, err, userkeys.InvalidPadding, "FIPS 140-only")
			_, err = userkeys.OpenPayload(testKey, padding, "AAAA")
			mustRefuse(t, err, userkeys.InvalidPadding, "FIPS 140-only")
		}
	}
	r, err := site.ParseAuthorizationRequest(url.Values{
		"nonce": {"n1"}, "scopes": {"read"}, "client_id": {"c1"}, "public_key": {testPublicKey}, "application_name": {"App"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Check(site.DefaultSettings(), discourse(t), site.Client{})
	mustRefuse(t, err, userkeys.InvalidPadding, "FIPS 140-only")
}

// FuzzPayload: what fits is sealed and opens to the same, what does not fit is
// refused by both, and a text that was changed opens to nothing.
func FuzzPayload(f *testing.F) {
	f.Add("nonce", false, int64(0), uint16(0))
	f.Add("<\u2028>", true, int64(1893456000), uint16(349))
	f.Add(strings.Repeat("\"", 20), true, int64(0), uint16(60))
	f.Add(strings.Repeat("x", 90), false, int64(1), uint16(1))
	key := parsedKey(f, otherPublicKey) // small, for speed
	f.Fuzz(func(t *testing.T, nonce string, push bool, end int64, at uint16) {
		p := userkeys.Payload{Key: testKeyText, Nonce: strings.ToValidUTF8(nonce, "\ufffd"), Push: push, API: 4}
		if 0 < end && end < 253402300800 {
			p.ExpiresAt = time.Unix(end, 0).UTC()
		}
		if !json.Valid(p.JSON()) {
			t.Fatalf("no JSON: %s", p.JSON())
		}
		for _, padding := range []userkeys.Padding{userkeys.PaddingPKCS1, userkeys.PaddingOAEP, userkeys.PaddingOAEP256} {
			fits := p.Fits(key, padding)
			sealed, err := p.Seal(key, padding)
			if (fits == nil) != (err == nil) {
				t.Fatalf("Fits says %v and Seal %v", fits, err)
			}
			if err != nil {
				continue
			}
			got, err := userkeys.OpenPayload(smallKey, padding, sealed)
			if d := cmp.Diff(p, got); err != nil || d != "" {
				t.Fatalf("%v %s", err, d)
			}
			malleable(t, sealed, padding, int(at)%len(sealed))
		}
	})
}

// malleable changes the character at i of a sealed text and expects nothing to
// open, but for white space, which carries nothing.
func malleable(t *testing.T, sealed string, padding userkeys.Padding, i int) {
	t.Helper()
	was := sealed[i]
	for _, c := range []byte("Ag=-\n") {
		if c == was || was == '\n' {
			continue
		}
		changed := sealed[:i] + string(c) + sealed[i+1:]
		if got, err := userkeys.OpenPayload(smallKey, padding, changed); err == nil {
			t.Fatalf("%q for %q at %d of %q still opens: %v", c, was, i, sealed, got)
		}
	}
	if got, err := userkeys.OpenPayload(smallKey, padding, sealed[:i]); err == nil && strings.TrimSpace(sealed[i:]) != "" {
		t.Fatalf("cut at %d of %q still opens: %v", i, sealed, got)
	}
}

// TestSealedIsCanonical: base64 whose last character has spare bits set is another text for the same bytes.
func TestSealedIsCanonical(t *testing.T) {
	t.Parallel()
	sealed, err := userkeys.Payload{Key: testKeyText, Nonce: "1"}.Seal(parsedKey(t, testPublicKey), userkeys.PaddingOAEP)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(sealed, "\n", "")
	i := strings.IndexByte(text, '=') - 1
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	spare := text[:i] + string(alphabet[strings.IndexByte(alphabet, text[i])|1]) + text[i+1:]
	if b, err := base64.StdEncoding.DecodeString(spare); err != nil || len(b) != 256 || spare == text {
		t.Fatalf("the test's own text is wrong: %v", err)
	}
	_, err = userkeys.OpenPayload(testKey, userkeys.PaddingOAEP, spare)
	mustRefuse(t, err, userkeys.InvalidParameters, "no payload")
}

// TestPKCS1IsInOneFile: the deprecated functions are used in padding_pkcs1.go, with
// the reason beside, and nowhere else in the module.
func TestPKCS1IsInOneFile(t *testing.T) {
	t.Parallel()
	var users []string
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.Contains(path, "node_modules/") {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte("PKCS1"+"v15(")) {
			users = append(users, path)
		}
		return err
	})
	if d := cmp.Diff([]string{"padding_pkcs1.go"}, users); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
}
