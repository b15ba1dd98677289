package nettest

import "testing"

// TestNames proves that the server above answers: the tests with it look for what does not happen.
func TestNames(t *testing.T) {
	t.Parallel()
	n := &Names{Zone: map[string]Record{
		"one.test":   {IPs: []string{"192.0.2.1", "2001:db8::1"}},
		"alias.test": {CNAME: "one.test"},
	}}
	for _, name := range []string{"one.test", "alias.test"} {
		ips, err := n.Resolver().LookupNetIP(t.Context(), "ip", name)
		if err != nil || len(ips) != 2 {
			t.Errorf("%s: %v, %v", name, ips, err)
		}
	}
	if ips, err := n.Resolver().LookupNetIP(t.Context(), "ip", "none.test"); err == nil {
		t.Errorf("none.test: %v", ips)
	}
}
