package site

import (
	"strings"
	"testing"
)

func TestDevice(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                        "Firefox on Windows",
		"Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36":                         "Chrome on Android",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0":     "Edge on Mac",
		"curl/8.14.1":               "curl",
		"":                          "unknown program",
		"\x01/1":                    "unknown program",
		strings.Repeat("x", 1000):   strings.Repeat("x", maxDevice) + "...",
		"some program on Linux/1":   "Linux",
		"Firefox/1 of nobody knows": "Firefox",
	} {
		if got := (UserSession{UserAgent: agent}).Device(); got != want {
			t.Errorf("%.60s: %q, want %q", agent, got, want)
		}
	}
}
