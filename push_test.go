package userkeys_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"userkeys"
)

// pushTime is when the pushes of the tests are sent.
var pushTime = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// pushSecret is the n-th secret of the tests.
func pushSecret(t testing.TB, n int64) userkeys.PushSecret {
	t.Helper()
	s, err := userkeys.NewPushSecret(bytes.Repeat([]byte{7}, 32), n, pushTime)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustReason(t testing.TB, err error, reason, words string) {
	t.Helper()
	if e := userkeys.AsError(err); err == nil || e.Reason != reason || !strings.Contains(e.Public, words) {
		t.Errorf("refused with %q: %v; want %q with %q", e.Reason, err, reason, words)
	}
}

// TestPushVectors verifies what another implementation signed, and refuses what was done to it.
func TestPushVectors(t *testing.T) {
	t.Parallel()
	const file = "pushes.txt"
	lines := vectorLines(t, file)
	for i := 0; i < len(lines); i += 2 {
		v := lines[i]
		row, what, _ := strings.Cut(v.text, " ")
		t.Run(row+" "+v.at(file), func(t *testing.T) {
			t.Parallel()
			var in struct {
				ID, Timestamp, Signature, Body string
				Now                            int64
				Secrets                        []string
			}
			if err := json.Unmarshal([]byte(lines[i+1].text), &in); err != nil {
				t.Fatal(err)
			}
			var secrets []userkeys.PushSecret
			for _, text := range in.Secrets {
				s, err := userkeys.ParsePushSecret(text)
				if err != nil || s.Reveal() != text {
					t.Fatalf("%q is read as %q, %v", text, s.Reveal(), err)
				}
				secrets = append(secrets, s)
			}
			h := userkeys.PushHeaders{ID: in.ID, Timestamp: in.Timestamp, Signature: in.Signature}
			got, err := userkeys.VerifyPush(h, []byte(in.Body), time.Unix(in.Now, 0), secrets...)
			verb, rest, _ := strings.Cut(what, " ")
			if verb == "refuse" {
				parts := strings.SplitN(rest, "`", 3)
				mustReason(t, err, parts[1], strings.TrimSpace(parts[2]))
				if got != nil {
					t.Errorf("signers beside an error: %v", got)
				}
				return
			}
			var want []int
			for place := range strings.FieldsSeq(rest) {
				n, err := strconv.Atoi(place)
				if err != nil {
					break // what follows is for people
				}
				want = append(want, n)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("signed by %v, %v; want %v", got, err, want)
			}
		})
	}
}

// TestPushSecretVectors derives what OpenSSL derives (openssl kdf -kdfopt digest:SHA256 ... HKDF).
func TestPushSecretVectors(t *testing.T) {
	t.Parallel()
	const file = "pushsecrets.txt"
	for _, v := range vectorLines(t, file) {
		f := strings.Fields(v.text)
		machine, err := hex.DecodeString(f[0])
		if err != nil {
			t.Fatal(err)
		}
		id, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		micros, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		got, err := userkeys.NewPushSecret(machine, id, time.UnixMicro(micros).Add(999))
		if err != nil || got.Reveal() != f[3] {
			t.Errorf("%s: %s, %v", v.at(file), got.Reveal(), err)
		}
	}
}

func TestNewPushSecretRefuses(t *testing.T) {
	t.Parallel()
	machine := bytes.Repeat([]byte{1}, 32)
	for _, c := range []struct {
		name    string
		machine []byte
		id      int64
		at      time.Time
		says    string
	}{
		{"no machine secret", nil, 1, pushTime, "has 0 bytes; it needs at least 32"},
		{"a short machine secret", machine[:31], 1, pushTime, "has 31 bytes; it needs at least 32"},
		{"no key", machine, 0, pushTime, "of a stored key"},
		{"a key that was never made", machine, 1, time.Time{}, "of a stored key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := userkeys.NewPushSecret(c.machine, c.id, c.at)
			mustRefuse(t, err, userkeys.InvalidParameters, c.says)
			if !got.IsZero() {
				t.Error("a secret beside an error")
			}
		})
	}
}

func TestParsePushSecret(t *testing.T) {
	t.Parallel()
	good := pushSecret(t, 1)
	if got, err := userkeys.ParsePushSecret(" \t" + good.Reveal() + "\r\n"); err != nil || !got.Equal(good) || got.Equal(pushSecret(t, 2)) {
		t.Errorf("%v, %v", got.Reveal(), err)
	}
	text := good.Reveal()
	for name, c := range map[string]struct{ text, says string }{
		"nothing":            {" \n", "it is empty"},
		"no prefix":          {text[6:], "must begin with whsec_"},
		"another prefix":     {"whpk_" + text[6:], "must begin with whsec_"},
		"cut off":            {text[:20], "not base64; was it cut off?"},
		"cut to whole bytes": {text[:26], "it has 15 bytes, and a site's has 32; was it cut off?"},
		"url-safe base64":    {"whsec_" + strings.Repeat("-", 43) + "=", "not base64"},
		"spare bits set":     {text[:len(text)-2] + "B=", "not base64"},
		"zeros":              {"whsec_" + strings.Repeat("A", 43) + "=", "nothing but zeros"},
		"too long":           {text + strings.Repeat("A", 2000), "far too long"},
		"a line inside":      {text[:20] + "\n" + text[20:], "not base64"},
		"a key":              {"0123456789abcdef0123456789abf62c", "must begin with whsec_"},
	} {
		got, err := userkeys.ParsePushSecret(c.text)
		t.Run(name, func(t *testing.T) {
			mustRefuse(t, err, userkeys.InvalidParameters, c.says)
			if !got.IsZero() || err != nil && strings.Contains(err.Error(), text[6:20]) {
				t.Errorf("a secret beside an error, or in it: %v", err)
			}
		})
	}
}

// A secret stays out of logs, whichever way it gets there.
func TestPushSecretDoesNotPrint(t *testing.T) {
	t.Parallel()
	s := pushSecret(t, 1)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "inside", struct{ S userkeys.PushSecret }{s})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "inside", struct{ S userkeys.PushSecret }{s})
	asJSON, err := json.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	printed := log.String() + string(asJSON)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		printed += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, struct{ S userkeys.PushSecret }{s}) + fmt.Sprintf(verb, &s)
	}
	raw, err := base64.StdEncoding.DecodeString(s.Reveal()[6:])
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{s.Reveal()[6:18], fmt.Sprintf("%x", raw[:6]), fmt.Sprint(raw[:3])[1:8]} {
		if strings.Contains(strings.ToLower(printed), strings.ToLower(secret)) {
			t.Errorf("printed with %q: %s", secret, printed)
		}
	}
}

func TestSignPush(t *testing.T) {
	t.Parallel()
	a, b := pushSecret(t, 1), pushSecret(t, 2)
	h, err := userkeys.SignPush("msg_1", pushTime.Add(999*time.Millisecond), []byte("{}"), a, b)
	if err != nil || h.ID != "msg_1" || h.Timestamp != "1893553445" || strings.Count(h.Signature, "v1,") != 2 || len(h.Signature) != 2*47+1 {
		t.Fatalf("%+v, %v", h, err)
	}
	later, err := userkeys.SignPush("msg_1", pushTime.Add(time.Hour), []byte("{}"), a)
	if err != nil || later.ID != h.ID || strings.HasPrefix(h.Signature, later.Signature) {
		t.Errorf("the second try is signed as %+v, %v", later, err)
	}
	for name, c := range map[string]struct {
		id      string
		at      time.Time
		secrets []userkeys.PushSecret
		code    userkeys.Code
		says    string
	}{
		"no id":                   {"", pushTime, []userkeys.PushSecret{a}, userkeys.InvalidParameters, "the id of a push"},
		"a full stop in the id":   {"1.2", pushTime, []userkeys.PushSecret{a}, userkeys.InvalidParameters, "the id of a push"},
		"a line end in the id":    {"1\r\nX: y", pushTime, []userkeys.PushSecret{a}, userkeys.InvalidParameters, "the id of a push"},
		"an endless id":           {strings.Repeat("x", 256), pushTime, []userkeys.PushSecret{a}, userkeys.InvalidParameters, "the id of a push"},
		"before 1970":             {"1", time.Unix(-1, 0), []userkeys.PushSecret{a}, userkeys.InvalidParameters, "after 1970"},
		"the zero time":           {"1", time.Time{}, []userkeys.PushSecret{a}, userkeys.InvalidParameters, "after 1970"},
		"nobody to sign for":      {"1", pushTime, nil, userkeys.InvalidParameters, "1 to 64 keys, not for 0"},
		"too many to sign for":    {"1", pushTime, make([]userkeys.PushSecret, 65), userkeys.InvalidParameters, "1 to 64 keys, not for 65"},
		"a secret that is none":   {"1", pushTime, []userkeys.PushSecret{a, {}}, userkeys.MissingParameter, "no push secret"},
		"many that are no secret": {"1", pushTime, make([]userkeys.PushSecret, 64), userkeys.MissingParameter, "no push secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := userkeys.SignPush(c.id, c.at, []byte("{}"), c.secrets...)
			mustRefuse(t, err, c.code, c.says)
			if h != (userkeys.PushHeaders{}) {
				t.Errorf("signed beside an error: %+v", h)
			}
		})
	}
}

// What nobody gave a secret for must not be taken for signed with the secret of zeros.
func TestVerifyPushWithoutASecret(t *testing.T) {
	t.Parallel()
	h, err := userkeys.SignPush("1", pushTime, nil, pushSecret(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = userkeys.VerifyPush(h, nil, pushTime)
	mustRefuse(t, err, userkeys.MissingParameter, "no push secret")
	_, err = userkeys.VerifyPush(h, nil, pushTime, pushSecret(t, 1), userkeys.PushSecret{})
	mustRefuse(t, err, userkeys.MissingParameter, "no push secret")
}

// As many as may sign do, and each verifies; T31: no other key's secret does.
func TestT31EverySecretVerifiesItsOwn(t *testing.T) {
	t.Parallel()
	var all []userkeys.PushSecret
	for n := range int64(userkeys.MaxPushSignatures) {
		all = append(all, pushSecret(t, n+1))
	}
	body := []byte(`{"notifications":[]}`)
	h, err := userkeys.SignPush("1", pushTime, body, all...)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		if got, err := userkeys.VerifyPush(h, body, pushTime, pushSecret(t, 1000), s); err != nil || !slices.Equal(got, []int{1}) {
			t.Errorf("secret %d: %v, %v", i, got, err)
		}
	}
	_, err = userkeys.VerifyPush(h, body, pushTime, pushSecret(t, 1000))
	mustReason(t, err, userkeys.ReasonBadSignature, "another key's")
}

// TestPushSecretSealed: it fits the smallest key that sites take, and opens to itself.
func TestPushSecretSealed(t *testing.T) {
	t.Parallel()
	s := pushSecret(t, 3)
	for _, padding := range []userkeys.Padding{userkeys.PaddingPKCS1, userkeys.PaddingOAEP} {
		for _, c := range []struct {
			name   string
			public string
			open   func(string) (userkeys.PushSecret, error)
		}{
			{"1024", otherPublicKey, func(text string) (userkeys.PushSecret, error) {
				return userkeys.OpenPushSecret(smallKey, padding, text)
			}},
			{"2048", testPublicKey, func(text string) (userkeys.PushSecret, error) { return userkeys.OpenPushSecret(testKey, padding, text) }},
		} {
			sealed, err := userkeys.SealPushSecret(parsedKey(t, c.public), padding, s)
			if err != nil {
				t.Fatalf("%s %s: %v", c.name, padding, err)
			}
			for name, text := range map[string]string{"as it came": sealed, "in one line": strings.ReplaceAll(sealed, "\n", ""), "in quotes": `"` + sealed + `"`} {
				if got, err := c.open(text); err != nil || !got.Equal(s) {
					t.Errorf("%s %s %s: %v", c.name, padding, name, err)
				}
			}
		}
	}
	_, err := userkeys.SealPushSecret(parsedKey(t, otherPublicKey), userkeys.PaddingOAEP256, s)
	mustRefuse(t, err, userkeys.PayloadTooLarge, "it has 68 bytes, and a key of 1024 bits takes at most 62")
	_, err = userkeys.SealPushSecret(parsedKey(t, testPublicKey), userkeys.PaddingOAEP, userkeys.PushSecret{})
	mustRefuse(t, err, userkeys.MissingParameter, "no push secret")
}

// A key's answer is no push secret, and a push secret is no key.
func TestPushSecretIsNoKey(t *testing.T) {
	t.Parallel()
	public := parsedKey(t, testPublicKey)
	key, err := userkeys.Payload{Key: testKeyText, Nonce: "1"}.Seal(public, userkeys.PaddingOAEP)
	if err != nil {
		t.Fatal(err)
	}
	_, err = userkeys.OpenPushSecret(testKey, userkeys.PaddingOAEP, key)
	mustRefuse(t, err, userkeys.InvalidParameters, "no push secret")
	password, err := userkeys.SealOneTimePassword(public, userkeys.PaddingOAEP, userkeys.NewOneTimePassword())
	if err != nil {
		t.Fatal(err)
	}
	_, err = userkeys.OpenPushSecret(testKey, userkeys.PaddingOAEP, password)
	mustRefuse(t, err, userkeys.InvalidParameters, "")
	sealed, err := userkeys.SealPushSecret(public, userkeys.PaddingOAEP, pushSecret(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = userkeys.OpenPayload(testKey, userkeys.PaddingOAEP, sealed)
	mustRefuse(t, err, userkeys.InvalidParameters, "no usable key")
	_, err = userkeys.OpenPushSecret(testKey, userkeys.PaddingPKCS1, sealed)
	mustRefuse(t, err, userkeys.InvalidParameters, "not made for this key")
	_, err = userkeys.OpenPushSecret(testKey, userkeys.PaddingOAEP, sealed[:40])
	mustReason(t, err, userkeys.ReasonCutOff, "cut off")
}

// FuzzVerifyPush: what was signed verifies, by its own secret alone and within the tolerance alone; whatever is
// changed in id, time, body or signature does not; and a header made of anything never panics.
func FuzzVerifyPush(f *testing.F) {
	for _, body := range []string{"", "{}", `{"url":"https://forum.example","notifications":[{"client_id":"c"}]}`, "\xff\x00."} {
		f.Add("msg_1", int64(1893553445), body, "v1,AAAA v2,x", uint16(3), int64(299))
		f.Add("a.b", int64(0), body, " ", uint16(0), int64(-301))
		f.Add("1", int64(999999999999), body, "v1,"+strings.Repeat("A", 43)+"=", uint16(900), int64(1<<62))
	}
	a, b := pushSecret(f, 1), pushSecret(f, 2)
	f.Fuzz(func(t *testing.T, id string, at int64, body, junk string, flip uint16, off int64) {
		now := time.Unix(at, 0)
		_, err := userkeys.VerifyPush(userkeys.PushHeaders{ID: id, Timestamp: junk, Signature: junk}, []byte(body), now, a)
		_, err2 := userkeys.VerifyPush(userkeys.PushHeaders{ID: id, Timestamp: strconv.FormatInt(at, 10), Signature: junk}, []byte(body), now, a)
		if err == nil || err2 == nil {
			t.Fatalf("junk verifies: %q", junk)
		}
		h, err := userkeys.SignPush(id, now, []byte(body), a)
		if err != nil {
			return
		}
		check := func(h userkeys.PushHeaders, body string, now time.Time, s userkeys.PushSecret) error {
			_, err := userkeys.VerifyPush(h, []byte(body), now, s)
			return err
		}
		within := off >= -300 && off <= 300
		if err := check(h, body, now, a); err != nil {
			t.Fatalf("%+v: %v", h, err)
		}
		if err := check(h, body, now, b); err == nil {
			t.Fatalf("%+v verifies by another secret", h)
		}
		if off > -1<<40 && off < 1<<40 {
			if err := check(h, body, time.Unix(at+off, 0), a); (err == nil) != within {
				t.Fatalf("%d s off: %v", off, err)
			}
		}
		for _, c := range []struct {
			name string
			h    userkeys.PushHeaders
			body string
		}{
			{"id", userkeys.PushHeaders{ID: changed(h.ID, flip), Timestamp: h.Timestamp, Signature: h.Signature}, body},
			{"timestamp", userkeys.PushHeaders{ID: h.ID, Timestamp: changed(h.Timestamp, flip), Signature: h.Signature}, body},
			{"signature", userkeys.PushHeaders{ID: h.ID, Timestamp: h.Timestamp, Signature: changed(h.Signature, flip)}, body},
			{"body", h, changed(body, flip)},
			{"junk for the signature", userkeys.PushHeaders{ID: h.ID, Timestamp: h.Timestamp, Signature: junk}, body},
			{"the full stop moved", userkeys.PushHeaders{ID: h.ID + "." + h.Timestamp, Timestamp: h.Timestamp, Signature: h.Signature}, body},
		} {
			if err := check(c.h, c.body, now, a); err == nil && (c.h != h || c.body != body) {
				t.Fatalf("with another %s it verifies: %+v %q", c.name, c.h, c.body)
			}
		}
	})
}

// changed is s with one bit flipped, or one byte more where it is empty.
func changed(s string, at uint16) string {
	if s == "" {
		return "x"
	}
	b := []byte(s)
	b[int(at/8)%len(b)] ^= 1 << (at % 8)
	return string(b)
}

// BenchmarkPush prints what a push of a usual size costs to sign and to verify.
func BenchmarkPush(b *testing.B) {
	s := pushSecret(b, 1)
	body, err := os.ReadFile("testdata/keys.txt")
	if err != nil {
		b.Fatal(err)
	}
	body = body[:min(len(body), 1<<10)]
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			if _, err := userkeys.SignPush("msg_1", pushTime, body, s); err != nil {
				b.Fatal(err)
			}
		}
	})
	h, err := userkeys.SignPush("msg_1", pushTime, body, s)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if _, err := userkeys.VerifyPush(h, body, pushTime, s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A site signs, the app verifies.
func ExampleVerifyPush() {
	machine := bytes.Repeat([]byte{1}, 32) // random, and kept
	secret, err := userkeys.NewPushSecret(machine, 42, pushTime)
	if err != nil {
		panic(err)
	}
	body := []byte(`{"notifications":[]}`)
	h, err := userkeys.SignPush("msg_1", pushTime, body, secret)
	if err != nil {
		panic(err)
	}
	signers, err := userkeys.VerifyPush(h, body, pushTime.Add(time.Second), secret)
	fmt.Println(signers, err)
	_, err = userkeys.VerifyPush(h, []byte(`{"notifications":[{}]}`), pushTime, secret)
	fmt.Println(userkeys.AsError(err).Reason, "-", secret)
	// Output:
	// [0] <nil>
	// bad signature - [push secret]
}
