package userkeys_test

import (
	"errors"
	"testing"

	"userkeys"
)

func TestWebTarget(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, scheme, authority, want string }{
		{"no port, http", "http", "hub.example", "hub.example:80"},
		{"no port, https", "https", "hub.example", "hub.example:443"},
		{"the other scheme's port", "https", "hub.example:80", "hub.example:80"},
		{"case", "HTTP", "HUB.Example:8080", "hub.example:8080"},
		{"a short name", "http", "hub:8080", "hub:8080"},
		{"IPv4", "http", "127.0.0.1:9000", "127.0.0.1:9000"},
		{"IPv6", "http", "[::1]:9000", "[::1]:9000"},
		{"IPv6 without port", "https", "[2606:4700::1111]", "[2606:4700::1111]:443"},
		{"punycode", "https", "xn--bcher-kva.example", "xn--bcher-kva.example:443"},
		{"other scheme", "ftp", "hub.example", ""},
		{"no host", "http", "", ""},
		{"no host but a port", "http", ":80", ""},
		{"user name", "http", "a@hub.example", ""},
		{"port 0", "http", "hub.example:0", ""},
		{"empty port", "http", "hub.example:", ""},
		{"port with a zero before it", "http", "hub.example:080", ""},
		{"port too large", "http", "hub.example:65536", ""},
		{"port with a sign", "http", "hub.example:+80", ""},
		{"SS5 fewer parts", "http", "127.1", ""},
		{"SS5 one number", "http", "2130706433", ""},
		{"SS5 hexadecimal", "http", "0x7F000001", ""},
		{"SS5 octal", "http", "0177.0.0.1", ""},
		{"SS4 zone", "http", "[::1%lo]", ""},
		{"SS6 wide digits", "http", "\uff11\uff12\uff17.0.0.1", ""},
		{"final dot", "http", "localhost.", ""},
		{"underscore", "http", "a_b.example", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := userkeys.WebTarget(tt.scheme, tt.authority)
			if got != tt.want || (err == nil) != (tt.want != "") || err != nil && !errors.Is(err, userkeys.InvalidParameters) {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
}
