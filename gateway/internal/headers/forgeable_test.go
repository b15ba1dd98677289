package headers

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"userkeys/internal/doctor/behind"
)

// TestForgeableIsWhatTheDoctorForges: what clients may never send to a website behind the proxy, they may not send to
// one behind a web server that asks, either.
func TestForgeableIsWhatTheDoctorForges(t *testing.T) {
	t.Parallel()
	identity, overrides := Forgeable()
	for _, name := range behind.Names() {
		f, _ := common.fateOf(name)
		if f == fromTrusted || strings.HasPrefix(name, "x-userkeys-") || slices.Contains(notForged, name) {
			continue // an address, or what recipes name themselves
		}
		if !slices.ContainsFunc(identity, func(n string) bool {
			n = strings.ToLower(n)
			return n == name || strings.HasSuffix(n, "-") && strings.HasPrefix(name, n)
		}) {
			t.Errorf("%s can be forged", name)
		}
	}
	for prefix, names := range families {
		if names == "" {
			t.Errorf("no usual names begin with %s", prefix)
		}
	}
	for _, name := range append(identity, overrides...) {
		if f, _ := common.fateOf(name); f == passes || name != http.CanonicalHeaderKey(name) {
			t.Errorf("%s passes the proxy, or is spelled oddly", name)
		}
	}
	for _, name := range []string{"Api-Key", "Api-Username", "X-Http-Method-Override", "X-Original-Url", "X-Rewrite-Url", "Proxy"} {
		if !slices.Contains(overrides, name) {
			t.Errorf("%s may change what is asked for", name)
		}
	}
	if slices.Contains(overrides, "Cookie") || slices.Contains(identity, "Connection") {
		t.Error("what every request may have is taken from it")
	}
}
