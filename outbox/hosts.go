package outbox

import (
	"slices"
	"strings"

	"userkeys"
	"userkeys/site"
)

// namedHosts is how many hosts an error names at most.
const namedHosts = 10

// UnknownHost says that host is none of hosts: [userkeys.NotFound], with the one that was meant
// where the scheme alone differs, else with those that there are if they are few.
func UnknownHost(host string, hosts []Host) error {
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = userkeys.Printable(h.Host)
	}
	if slices.ContainsFunc(hosts, func(h Host) bool { return h.Host == host }) {
		return nil
	}
	_, rest, _ := strings.Cut(host, "://")
	rest = strings.TrimSuffix(strings.TrimSuffix(rest, ":443"), ":80")
	for _, scheme := range []string{"http://", "https://"} {
		if meant := site.PushHostOf(scheme + rest); meant != host && slices.Contains(names, meant) {
			return userkeys.Errorf(userkeys.NotFound, "nothing was ever pushed to %s; did you mean %s?", userkeys.Printable(host), meant)
		}
	}
	switch {
	case len(hosts) == 0:
		return userkeys.Errorf(userkeys.NotFound, "nothing was ever pushed to %s, or to any other host", userkeys.Printable(host))
	case len(hosts) > namedHosts:
		return userkeys.Errorf(userkeys.NotFound, "nothing was ever pushed to %s; there are %d other hosts", userkeys.Printable(host), len(hosts))
	}
	return userkeys.Errorf(userkeys.NotFound, "nothing was ever pushed to %s; there is %s", userkeys.Printable(host), strings.Join(names, ", "))
}
