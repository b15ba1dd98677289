package outbox

import (
	"fmt"
	"slices"
	"strings"

	"userkeys"
	"userkeys/site"
)

// namedHosts is how many hosts an error names at most.
const namedHosts = 10

// UnknownHost returns nil if host is one of hosts, else [userkeys.NotFound], which names the host that was meant where
// only the scheme differs, else all hosts if they are few.
func UnknownHost(host string, hosts []Host) error {
	if slices.ContainsFunc(hosts, func(h Host) bool { return h.Host == host }) {
		return nil
	}
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = userkeys.Printable(h.Host)
	}
	_, rest, _ := strings.Cut(host, "://")
	rest = strings.TrimSuffix(strings.TrimSuffix(rest, ":443"), ":80")
	for _, scheme := range []string{"http://", "https://"} {
		if meant := site.PushHostOf(scheme + rest); meant != host && slices.Contains(names, meant) {
			return notPushedTo(host, "; did you mean "+meant+"?")
		}
	}
	switch {
	case len(hosts) == 0:
		return notPushedTo(host, ", or to any other host")
	case len(hosts) > namedHosts:
		return notPushedTo(host, fmt.Sprintf("; there are %d other hosts", len(hosts)))
	}
	return notPushedTo(host, "; there is "+strings.Join(names, ", "))
}

func notPushedTo(host, but string) error {
	return userkeys.Errorf(userkeys.NotFound, "nothing was ever pushed to %s%s", userkeys.Printable(host), but)
}
