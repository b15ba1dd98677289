package client_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/client"
)

func TestOpenReadsEverySpellingOfTheAnswer(t *testing.T) {
	t.Parallel()
	site := newFakeSite(t)
	a, sealed := site.begin(t, site.request())
	oneLine := strings.ReplaceAll(sealed, "\n", "")
	tests := []struct{ name, text string }{
		{"as sealed", sealed},
		{"one line", oneLine},
		{"spaces where newlines were", strings.ReplaceAll(sealed, "\n", " ")},
		{"CRLF", strings.ReplaceAll(sealed, "\n", "\r\n")},
		{"indented", "  " + strings.ReplaceAll(sealed, "\n", "\n  ")},
		{"percent-encoded", url.QueryEscape(sealed)},
		{"in quotes", `"` + oneLine + `"`},
		{"as a parameter", "payload=" + url.QueryEscape(sealed)},
		{"the whole address", "http://127.0.0.1:9999/answer/1?payload=" + url.QueryEscape(sealed)},
		{"the address of a scheme, wrapped", "discourse://auth_redirect?a=1&payload=\n" + url.QueryEscape(sealed) + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := a.Open(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			want := &client.Credential{Site: site.URL, Key: testKey, ClientID: "installation 1", Scopes: userkeys.Scopes{"read"}, API: 4, KeyPair: testPair(), Padding: userkeys.PaddingOAEP}
			if diff := cmp.Diff(want, c, samePair); diff != "" {
				t.Errorf("credential (-want +got):\n%s", diff)
			}
			if !a.Complete(tt.text) {
				t.Error("Complete says that something is missing")
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	site := newFakeSite(t)
	a, sealed := site.begin(t, site.request())
	_, olderAnswer := site.begin(t, site.request())
	other, err := client.NewKeyPair(2048)
	if err != nil {
		t.Fatal(err)
	}
	r := site.request()
	r.KeyPair = other
	_, foreign := site.begin(t, r)
	tests := []struct {
		name, text string
		want       string
	}{
		{"PK30 another nonce", olderAnswer, client.ErrWrongNonce.Reason},
		{"T2 sealed to another key", foreign, userkeys.ReasonNotOurs},
		{"a key", testKey.Reveal(), userkeys.ReasonIsKey},
		{"a key with prefix and spaces", "  uk_" + testKey.Reveal() + "\n", userkeys.ReasonIsKey},
		{"nothing", " \n ", userkeys.ReasonNoPayload},
		{"an address without it", site.URL + "/user-api-key/new?nonce=1", userkeys.ReasonNoPayload},
		{"half of it", sealed[:len(sealed)/2], userkeys.ReasonCutOff},
		{"cut within an escape", "payload=" + sealed[:10] + "%2", userkeys.ReasonCutOff},
		{"broken escape", "payload=" + sealed[:10] + "%zz", userkeys.ReasonGarbled},
		{"twice", sealed + sealed, userkeys.ReasonGarbled},
		{"one character changed", "AAAA" + sealed[4:], userkeys.ReasonNotOurs},
		{"not base64", "what is this?", userkeys.ReasonGarbled},
		{"endless", strings.Repeat("A", 1<<20), userkeys.ReasonGarbled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := a.Open(tt.text)
			if got := userkeys.AsError(err).Reason; got != tt.want || c != nil {
				t.Errorf("Open = %v, %v with the reason %q; want %q", c, err, got, tt.want)
			}
		})
	}
}

func TestOpenReadsPKCS1OfSitesThatIgnorePadding(t *testing.T) {
	t.Parallel()
	site := newFakeSite(t)
	site.padding = string(userkeys.PaddingPKCS1)
	a, sealed := site.begin(t, site.request())
	if _, err := a.Open(sealed); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesPKCS1AnswerWithOAEP(t *testing.T) {
	t.Parallel()
	site := newFakeSite(t)
	site.padding = string(userkeys.PaddingOAEP)
	r := site.request()
	r.Padding = userkeys.PaddingPKCS1
	a, sealed := site.begin(t, r)
	if _, err := a.Open(sealed); userkeys.AsError(err).Reason != userkeys.ReasonNotOurs {
		t.Errorf("Open = %v, want a refusal: the site never asked may not choose", err)
	}
}

func TestOpenRefusesKeyThatIsNoHeader(t *testing.T) {
	t.Parallel()
	for _, key := range []userkeys.Key{"short", "0123456789abcdef\r\nCookie: x", "0123456789abcdef \u00e9"} {
		site := newFakeSite(t)
		site.key = key
		a, sealed := site.begin(t, site.request())
		if c, err := a.Open(sealed); err == nil {
			t.Errorf("Open accepted the key %q as %v", key.Reveal(), c)
		}
	}
}

func TestCompleteWaitsForTheLastLine(t *testing.T) {
	t.Parallel()
	site := newFakeSite(t)
	a, sealed := site.begin(t, site.request())
	lines := strings.SplitAfter(strings.TrimSpace(sealed), "\n")
	text := ""
	for i, line := range lines {
		text += line
		if got, want := a.Complete(text), i == len(lines)-1; got != want {
			t.Errorf("after line %d of %d Complete is %v", i+1, len(lines), got)
		}
	}
	if !a.Complete(testKey.Reveal()) {
		t.Error("Complete waits for more of what is a key")
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	site := newFakeSite(t)
	_, sealed := site.begin(t, site.request())
	for text, says := range map[string]string{
		testKey.Reveal():                     "",
		" \"" + testKey.Reveal() + "\"\n":    "",
		"uk_" + testKey.Reveal():             "",
		strings.Repeat("aB3-_", 20):          "",
		"":                                   "there is no key",
		"short":                              "does not look like a key",
		strings.Repeat("a", 257):             "does not look like a key",
		testKey.Reveal() + "\x1b[2J":         "does not look like a key",
		sealed:                               "this is a payload",
		strings.ReplaceAll(sealed, "\n", ""): "this is a payload",
		url.QueryEscape(sealed):              "this is a payload",
		"http://127.0.0.1/?payload=abc":      "this is a payload",
		testPair().PublicPEM():               "PEM",
	} {
		key, err := client.ParseKey(text)
		if says == "" && (err != nil || key.Reveal() != strings.Trim(text, "\" \n")) || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("ParseKey(%q) = %v; want %q", text, err, says)
		}
		if err != nil && len(text) > 20 && strings.Contains(err.Error(), text) {
			t.Errorf("the error shows what was given: %v", err)
		}
	}
}
