package site_test

import (
	"testing"

	"userkeys/site"
)

func TestDeviceName(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0": "Firefox on Linux",
		"curl/8.5.0": "curl",
		"":           "",
		"\xff\x00":   "",
	} {
		if got := site.DeviceName(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}
