package clientip

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestParseTrusted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"RP21 everybody", "*", ""},
		{"RP21 everybody in IPv4", "0.0.0.0/0", ""},
		{"everybody in IPv6", "::/0", ""},
		{"everybody in mapped IPv4", "::ffff:0.0.0.0/96", ""},
		{"more than mapped IPv4", "::ffff:0.0.0.0/95", ""},
		{"RP21 mapped network", "::ffff:10.0.0.0/104", "10.0.0.0/8"},
		{"mapped address", "::ffff:10.1.2.3", "10.1.2.3/32"},
		{"network", "10.0.0.0/8", "10.0.0.0/8"},
		{"address in a network", " 10.1.2.3/8 ", "10.0.0.0/8"},
		{"address", "192.0.2.1", "192.0.2.1/32"},
		{"IPv6", "2001:db8::/32", "2001:db8::/32"},
		{"IPv6 address", "::1", "::1/128"},
		{"zone", "fe80::1%eth0", ""},
		{"name", "proxy.example", ""},
		{"port", "10.0.0.1:80", ""},
		{"leading zero", "010.0.0.1", ""},
		{"too long", "10.0.0.0/33", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseTrusted([]string{"", tt.in})
			switch {
			case tt.want == "" && err == nil:
				t.Errorf("%q was taken as %v", tt.in, got)
			case tt.want != "" && (err != nil || len(got) != 1 || got[0].String() != tt.want):
				t.Errorf("%q is %v (%v), want %s", tt.in, got, err, tt.want)
			}
		})
	}
	if got, err := ParseTrusted(nil); err != nil || len(got) != 0 {
		t.Errorf("nothing is %v (%v), want nobody", got, err)
	}
}

func TestClientIP(t *testing.T) {
	t.Parallel()
	trusted := prefixes("10.0.0.0/8", "2001:db8::/32")
	many := func(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+", ", n), ", ") }
	for _, tt := range []struct {
		name, peer string
		lines      []string
		want       string
	}{
		{"no header", "10.0.0.1:5", nil, "10.0.0.1"},
		{"T38 untrusted peer is not believed", "7.7.7.7:5", []string{"6.6.6.6"}, "7.7.7.7"},
		{"one hop", "10.0.0.1:5", []string{"6.6.6.6"}, "6.6.6.6"},
		{"RP22 two trusted hops", "10.0.0.1:5", []string{"6.6.6.6, 10.0.0.2"}, "6.6.6.6"},
		{"RP22 what stands left is invented", "10.0.0.1:5", []string{"1.2.3.4, 6.6.6.6, 10.0.0.2"}, "6.6.6.6"},
		{"two lines are one list", "10.0.0.1:5", []string{"6.6.6.6", "10.0.0.2"}, "6.6.6.6"},
		{"RP22 1000 invented entries", "10.0.0.1:5", []string{many(1000, "1.2.3.4") + ", 6.6.6.6"}, "6.6.6.6"},
		{"RP22 more than 32 trusted entries", "10.0.0.1:5", []string{"6.6.6.6, " + many(32, "10.0.0.2")}, "10.0.0.1"},
		{"31 trusted entries", "10.0.0.1:5", []string{"6.6.6.6, " + many(31, "10.0.0.2")}, "6.6.6.6"},
		{"RP22 unknown", "10.0.0.1:5", []string{"6.6.6.6, unknown"}, "10.0.0.1"},
		{"RP22 unknown after a trusted hop", "10.0.0.1:5", []string{"unknown, 10.0.0.2"}, "10.0.0.2"},
		{"a port", "10.0.0.1:5", []string{"203.0.113.5:50123"}, "203.0.113.5"},
		{"a port, and a trusted hop with one", "10.0.0.1:5", []string{"203.0.113.5:50123, 10.0.0.2:1"}, "203.0.113.5"},
		{"an invented one left of it", "10.0.0.1:5", []string{"1.2.3.4:1, 203.0.113.5:50123"}, "203.0.113.5"},
		{"quotes", "10.0.0.1:5", []string{`"203.0.113.5"`}, "203.0.113.5"},
		{"quotes and a port", "10.0.0.1:5", []string{`"203.0.113.5:80"`}, "203.0.113.5"},
		{"brackets", "10.0.0.1:5", []string{"[2001:db9::1]"}, "2001:db9::1"},
		{"brackets and a port", "10.0.0.1:5", []string{"[2001:db9::1]:443"}, "2001:db9::1"},
		{"quotes, brackets and a port", "10.0.0.1:5", []string{`"[2001:db9::1]:443"`}, "2001:db9::1"},
		{"a mapped one with a port", "10.0.0.1:5", []string{"[::ffff:6.6.6.6]:1"}, "6.6.6.6"},
		{"a trailing comma", "10.0.0.1:5", []string{"6.6.6.6,"}, "6.6.6.6"},
		{"a leading comma", "10.0.0.1:5", []string{", 6.6.6.6"}, "6.6.6.6"},
		{"commas alone", "10.0.0.1:5", []string{", ,"}, "10.0.0.1"},
		{"an empty line", "10.0.0.1:5", []string{"6.6.6.6", ""}, "6.6.6.6"},
		{"half a quote", "10.0.0.1:5", []string{`6.6.6.6"`}, "10.0.0.1"},
		{"a port that is none", "10.0.0.1:5", []string{"6.6.6.6:x"}, "10.0.0.1"},
		{"IPv4 in brackets", "10.0.0.1:5", []string{"[6.6.6.6]"}, "10.0.0.1"},
		{"RP22 leading zero", "10.0.0.1:5", []string{"01.2.3.4"}, "10.0.0.1"},
		{"empty header", "10.0.0.1:5", []string{""}, "10.0.0.1"},
		{"empty entry", "10.0.0.1:5", []string{"6.6.6.6, , 10.0.0.2"}, "6.6.6.6"},
		{"all trusted: the first asks", "10.0.0.1:5", []string{"10.0.0.9, 10.0.0.2"}, "10.0.0.9"},
		{"mapped peer", "[::ffff:10.0.0.1]:5", []string{"6.6.6.6"}, "6.6.6.6"},
		{"mapped entry", "10.0.0.1:5", []string{"::ffff:6.6.6.6"}, "6.6.6.6"},
		{"mapped untrusted peer", "[::ffff:7.7.7.7]:5", nil, "7.7.7.7"},
		{"IPv6", "[2001:db8::1]:5", []string{"2001:db9::7,2001:db8::2"}, "2001:db9::7"},
		{"IPv6 with zone", "[fe80::1%eth0]:5", nil, "fe80::1%eth0"},
		{"a Unix socket is not trusted", "@", []string{"6.6.6.6"}, "@"},
		{"nor is a name that is bound to it", "/tmp/x", []string{"6.6.6.6"}, "/tmp/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.lines}}
			if got := ForwardedFor(trusted).Of(r); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := ForwardedFor(nil).Of(r); tt.peer == "10.0.0.1:5" && got != "10.0.0.1" {
				t.Errorf("RP21 nobody is trusted, yet got %s", got)
			}
		})
	}
}

func TestClientIPHeader(t *testing.T) {
	t.Parallel()
	trusted := prefixes("10.0.0.0/8", "2001:db8::/32")
	for _, tt := range []struct {
		name, header string
		lines        []string
		want         string
	}{
		{"RFC 7239", "Forwarded", []string{"for=192.0.2.60;proto=http;by=203.0.113.43"}, "192.0.2.60"},
		{"any case and order", "forwarded", []string{`proto=http; For="192.0.2.60"`}, "192.0.2.60"},
		{"a port", "Forwarded", []string{`for="192.0.2.60:47011"`}, "192.0.2.60"},
		{"IPv6", "Forwarded", []string{`For="[2001:db9:cafe::17]:4711"`}, "2001:db9:cafe::17"},
		{"two hops", "Forwarded", []string{"for=1.2.3.4, for=192.0.2.60, for=10.0.0.2;host=x"}, "192.0.2.60"},
		{"two lines", "Forwarded", []string{"for=192.0.2.60", "for=10.0.0.2"}, "192.0.2.60"},
		{"a quote that a client left open", "Forwarded", []string{`for="1.2.3.4, for=192.0.2.60`}, "192.0.2.60"},
		{"a comma in a value that the client named", "Forwarded", []string{`for=192.0.2.60;host="x,for=6.6.6.6;a="`}, "192.0.2.60"},
		{"a comma in a value before it", "Forwarded", []string{`host="x,for=6.6.6.6;a=";for=192.0.2.60`}, "192.0.2.60"},
		{"commas in two values", "Forwarded", []string{`for=9.9.9.9, for=192.0.2.60;host="a,b";by="c,for=6.6.6.6;d"`}, "192.0.2.60"},
		{"a semicolon in a value that the client named", "Forwarded", []string{`for=192.0.2.60;host="x;for=6.6.6.6"`}, "192.0.2.60"},
		{"an escape", "Forwarded", []string{`for=192.0.2.60;host="x\",for=6.6.6.6"`}, "10.0.0.1"},
		{"unknown", "Forwarded", []string{"for=192.0.2.60, for=unknown"}, "10.0.0.1"},
		{"hidden, after a trusted hop", "Forwarded", []string{"for=_secret, for=10.0.0.2"}, "10.0.0.2"},
		{"nobody named", "Forwarded", []string{"proto=https"}, "10.0.0.1"},
		{"named twice", "Forwarded", []string{"for=1.2.3.4;for=192.0.2.60"}, "10.0.0.1"},
		{"no header", "Forwarded", nil, "10.0.0.1"},
		{"one address", "X-Real-IP", []string{"192.0.2.60"}, "192.0.2.60"},
		{"any case", "x-real-ip", []string{" [2001:db9::1]:5 "}, "2001:db9::1"},
		{"one of ours asks itself", "X-Real-IP", []string{"10.0.0.9"}, "10.0.0.9"},
		{"two lines: the proxy's is the last", "X-Real-IP", []string{"1.2.3.4", "192.0.2.60"}, "192.0.2.60"},
		{"junk", "X-Real-IP", []string{"me"}, "10.0.0.1"},
		{"no X-Real-IP", "X-Real-IP", nil, "10.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ip, err := New(Config{Header: tt.header, TrustedProxies: trusted})
			if err != nil {
				t.Fatal(err)
			}
			h := http.Header{http.CanonicalHeaderKey(tt.header): tt.lines}
			for _, name := range clientIPHeaders {
				if !strings.EqualFold(name, tt.header) {
					h.Set(name, "6.6.6.6") // believed by nobody
				}
			}
			if got := ip.Of(&http.Request{RemoteAddr: "10.0.0.1:5", Header: h}); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := ip.Of(&http.Request{RemoteAddr: "7.7.7.7:5", Header: h}); got != "7.7.7.7" {
				t.Errorf("an untrusted peer makes us believe %s", got)
			}
		})
	}
	if _, err := New(Config{Header: "X-Client-IP"}); err == nil || !strings.Contains(err.Error(), "Forwarded") {
		t.Errorf("a header of no meaning here: %v", err)
	}
	for _, everybody := range []string{"0.0.0.0/0", "::/0"} {
		if _, err := New(Config{TrustedProxies: prefixes(everybody)}); err == nil {
			t.Errorf("RP21 with %s trusted, everybody chooses the address that is counted", everybody)
		}
	}
}

// What cannot be read is said once, so that an operator finds out why everybody has the proxy's address.
func TestUnreadableClientIPIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	ip, err := New(Config{TrustedProxies: prefixes("10.0.0.0/8"), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"6.6.6.6", "6.6.6.6, ", "unknown-" + strings.Repeat("x", 500), "again"} {
		ip.Of(&http.Request{RemoteAddr: "10.0.0.1:5", Header: http.Header{"X-Forwarded-For": {line}}})
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "unknown-x") || !strings.Contains(got, "X-Forwarded-For") || strings.Contains(got, "again") || len(got) > 500 {
		t.Errorf("%q", got)
	}
}

func FuzzClientIP(f *testing.F) {
	f.Add("6.6.6.6, 10.0.0.2")
	f.Add("unknown")
	f.Fuzz(func(t *testing.T, line string) {
		r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {line, "6.6.6.6, 10.0.0.3"}}}
		if got := ForwardedFor(prefixes("10.0.0.0/8")).Of(r); got != "6.6.6.6" {
			t.Errorf("%q left of the truth makes %s of it", line, got)
		}
	})
}
