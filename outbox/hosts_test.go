package outbox

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"userkeys"
)

func TestUnknownHost(t *testing.T) {
	t.Parallel()
	var many []Host
	for i := range 11 {
		many = append(many, Host{Host: fmt.Sprintf("https://h%d.example:443", i)})
	}
	two := []Host{{Host: "http://127.0.0.1:8787"}, {Host: "https://push.example:443"}}
	for _, tt := range []struct {
		name, host string
		hosts      []Host
		says       string // empty: it is one of them
	}{
		{"it is one of them", "https://push.example:443", two, ""},
		{"the scheme was left out", "https://127.0.0.1:8787", two, "pushed to https://127.0.0.1:8787; did you mean http://127.0.0.1:8787?"},
		{"another scheme, its own port", "http://push.example:80", two, "did you mean https://push.example:443?"},
		{"another port", "https://push.example:8443", two, "there is http://127.0.0.1:8787, https://push.example:443"},
		{"none at all", "https://push.example:443", nil, "or to any other host"},
		{"too many to name", "https://push.example:443", many, "there are 11 other hosts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := UnknownHost(tt.host, tt.hosts)
			if tt.says == "" && err != nil || tt.says != "" && (!errors.Is(err, userkeys.NotFound) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("it says %v, want %q", err, tt.says)
			}
		})
	}
}
