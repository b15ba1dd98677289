package userkeys_test

import (
	"net/url"
	"strings"
	"testing"

	"userkeys"
)

func TestOneTimePasswordsAreSealedBare(t *testing.T) {
	t.Parallel()
	for _, padding := range []userkeys.Padding{userkeys.PaddingPKCS1, userkeys.PaddingOAEP, userkeys.PaddingOAEP256} {
		password := userkeys.NewOneTimePassword()
		sealed, err := userkeys.SealOneTimePassword(parsedKey(t, testPublicKey), padding, password)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := userkeys.OpenOneTimePassword(testKey, padding, url.QueryEscape(sealed)); err != nil || got != password || !userkeys.IsOneTimePassword(got) {
			t.Errorf("%s: %q, %v", padding, got, err)
		}
		payload, err := userkeys.Payload{Key: testKeyText, Nonce: "1"}.Seal(parsedKey(t, testPublicKey), padding)
		if err != nil {
			t.Fatal(err)
		}
		_, err = userkeys.OpenOneTimePassword(testKey, padding, payload)
		mustRefuse(t, err, userkeys.InvalidParameters, "no one-time password")
	}
	for _, no := range []string{"", strings.Repeat("A", 32), strings.Repeat("a", 31), strings.Repeat("a", 33), strings.Repeat("g", 32)} {
		if userkeys.IsOneTimePassword(no) {
			t.Errorf("%q is one", no)
		}
	}
}
