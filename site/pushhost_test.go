package site_test

import (
	"errors"
	"strings"
	"testing"

	"userkeys"
	"userkeys/site"
)

func TestParsePushHost(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://push.example:443":   "https://push.example:443",
		"https://push.example":       "https://push.example:443",
		"push.example":               "https://push.example:443",
		"push.example:8443":          "https://push.example:8443",
		"http://hub:8080":            "http://hub:8080",
		"http://hub":                 "http://hub:80",
		"http://[::1]:9000":          "http://[::1]:9000",
		"https://push.example/a?b#c": "https://push.example:443",
	} {
		if got, err := site.ParsePushHost(text); err != nil || got != want {
			t.Errorf("%s is read as %q, %v; want %q", text, got, err, want)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "another scheme": "ftp://push.example", "no host": "https://", "only a port": ":443", "a port that is none": "push.example:x",
		"control characters": "push.exa\x00mple", "very long": strings.Repeat("x", 2000), "a script": "javascript://",
	} {
		if got, err := site.ParsePushHost(text); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("%s is read as %q, %v", name, got, err)
		}
	}
}
