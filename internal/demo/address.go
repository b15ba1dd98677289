package demo

import "net/url"

// originOf is scheme, host and port of an address that was parsed before.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
