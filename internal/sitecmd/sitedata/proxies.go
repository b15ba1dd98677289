package sitedata

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"userkeys/gateway"
)

// UnixSocket returns the path of an option such as unix:/run/userkeys.sock, and whether the option is one.
func UnixSocket(option string) (path string, ok bool) {
	path, ok = strings.CutPrefix(option, "unix:")
	return path, ok && filepath.IsAbs(path)
}

// Proxies reads a list of trusted proxies: their networks, and whether the word unix among them says that whoever
// connects by a Unix socket is trusted too. Errors: those of [gateway.ParseTrustedProxies].
func Proxies(list []string) (networks []netip.Prefix, unix bool, err error) {
	const word = "unix"
	rest := slices.DeleteFunc(slices.Clone(list), func(s string) bool { return strings.TrimSpace(s) == word })
	networks, err = gateway.ParseTrustedProxies(rest)
	return networks, len(rest) < len(list), err
}
