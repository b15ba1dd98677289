package site

import (
	"net/url"
	"slices"
	"strings"

	"userkeys"
)

// maxPushHost is the longest host, in bytes, that [ParsePushHost] reads.
const maxPushHost = 1024

// ParsePushHost reads a host that somebody typed, as [PushHostOf] gives it:
// https://push.example:443. Without a scheme it is https, and without a port the scheme's own.
// Errors: [userkeys.InvalidParameters].
func ParsePushHost(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	host := PushHostOf(text)
	if host == "" || len(host) > maxPushHost || !userkeys.IsText(host) {
		return "", invalid("a host is written as it is listed, such as https://push.example:443")
	}
	return host, nil
}

// PushHostOf returns scheme, host and port of an address, such as https://push.example:443. It is empty for what
// is no address of http or https.
func PushHostOf(pushURL string) string {
	u, err := url.Parse(pushURL)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if !slices.Contains([]string{"http", "https"}, u.Scheme) || port == "" {
		return ""
	}
	host := u.Host
	if u.Port() == "" {
		host += ":" + port
	}
	return u.Scheme + "://" + host
}
