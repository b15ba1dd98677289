package userkeys

import "strings"

// maxPushHost is the longest host, in bytes, that [ParsePushHost] reads.
const maxPushHost = 1024

// ParsePushHost reads a host that somebody typed, as [PushHostOf] gives it:
// https://push.example:443. The scheme and the port may be left out where they are these. [InvalidParameters].
func ParsePushHost(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	host := PushHostOf(text)
	if host == "" || len(host) > maxPushHost || !IsText(host) {
		return "", Errorf(InvalidParameters, "a host is written as it is listed, such as https://push.example:443")
	}
	return host, nil
}
