package recipe

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Address is where a program listens: host:port, or unix:PATH for a Unix socket.
type Address string

// ParseAddress reads an address. A host may be a name; http:// before it is allowed.
func ParseAddress(s string) (Address, error) {
	if path, unix := strings.CutPrefix(s, "unix:"); unix {
		if !strings.HasPrefix(path, "/") || !harmless(path) {
			return "", fmt.Errorf("%q does not name a Unix socket by its whole path, such as unix:/run/userkeys/ask.sock", s)
		}
		return Address(s), nil
	}
	host, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(s, "http://"), "/"))
	number, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || number == 0 || host == "" || !harmless(host) {
		return "", fmt.Errorf("%q is no address such as 127.0.0.1:8081 or unix:/run/userkeys/ask.sock", s)
	}
	return Address(net.JoinHostPort(host, port)), nil
}

// harmless reports whether s has only characters that stand for themselves in every configuration.
func harmless(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_./:", rune(c)) {
			return false
		}
	}
	return true
}

// IsUnix reports whether a is a Unix socket.
func (a Address) IsUnix() bool { return strings.HasPrefix(string(a), "unix:") }

func (a Address) path() string { return strings.TrimPrefix(string(a), "unix:") }

func (a Address) nginx() string { return string(a) }

func (a Address) caddy() string {
	if a.IsUnix() {
		return "unix/" + a.path()
	}
	return string(a)
}

func (a Address) haproxy() string {
	if a.IsUnix() {
		return "unix@" + a.path()
	}
	return string(a)
}

// haproxyDst is where HAProxy's client connects to if that is not in the URL.
func (a Address) haproxyDst() string {
	if a.IsUnix() {
		return strconv.Quote("unix@" + a.path())
	}
	return "nil"
}

// httpHost is the host of a URL for a.
func (a Address) httpHost() string {
	if a.IsUnix() {
		return "userkeys"
	}
	return string(a)
}

func (a Address) http() string { return "http://" + a.httpHost() }

func (a Address) envoy() string {
	if a.IsUnix() {
		return fmt.Sprintf("{ pipe: { path: %s } }", a.path())
	}
	host, port, _ := net.SplitHostPort(string(a)) // as ParseAddress made it
	return fmt.Sprintf("{ socket_address: { address: %q, port_value: %s } }", host, port)
}

func (a Address) port() string {
	_, port, _ := net.SplitHostPort(string(a))
	return port
}
