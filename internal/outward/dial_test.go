package outward

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/nettest"
)

// errRecorded stands for a connection that would have been made.
var errRecorded = errors.New("it would be dialled now")

// record makes c connect to nothing; what it would have connected to is in the list that it returns.
func record(c *http.Client) func() []string {
	var mu sync.Mutex
	var seen []string
	c.Transport.(*transport).connecting = func(at string) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, at)
		return errRecorded
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

// problem asks address and tells what was wrong; the error must not tell where it led.
func problem(t *testing.T, c *http.Client, address string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader("{}"))
	if err != nil {
		return "no request: " + err.Error()
	}
	resp, err := c.Do(r)
	if err == nil {
		resp.Body.Close()
		return ""
	}
	if e := userkeys.AsError(err); e.Code == userkeys.Internal || e.Public == "" {
		t.Errorf("%s: the error says nothing to a person: %#v", address, e)
	}
	return Problem(err)
}

func TestSS4_SS10_NoAddressInsideIsDialled(t *testing.T) {
	t.Parallel()
	n := &nettest.Names{}
	c := New(Config{Resolver: n.Resolver()})
	seen := record(c)
	hosts := []string{
		"localhost", "LOCALHOST", "0", "00", "127.1", "127.0.1", "2130706433", "0x7f000001", "0X7F.1", "0177.0.0.1", "017700000001",
		"127.000.000.001", "00127.0.0.1", "127.0.0.1.", "localhost.", "127.0.0.0x1", "1.2.3", "999.1.1.1", "[::1%25lo]", "[::ffff:127.0.0.1]", "[0:0::1]",
		"\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", "127\u30020\u30020\u30021", "\uff11\uff12\uff17.0.0.1", "127\uff0e0\uff0e0\uff0e1",
		"0\uff587f000001", "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3", "local\u00adhost", "local\u200dhost", "a@127.0.0.1", "[localhost]", "",
	}
	for _, tt := range refusedAddresses {
		host := tt.ip
		if strings.Contains(host, ":") {
			host = "[" + strings.ReplaceAll(host, "%", "%25") + "]"
		}
		hosts = append(hosts, host)
	}
	for _, host := range hosts {
		for _, scheme := range []string{"http://", "https://"} {
			got := problem(t, c, scheme+host+"/")
			if got != ProblemAddress && !strings.HasPrefix(got, "no request: ") && (host != "" || got != ProblemConnection) {
				t.Errorf("%s%s: %q", scheme, host, got)
			}
		}
	}
	if got := seen(); got != nil {
		t.Errorf("dialled: %q", got)
	}
	if asked := n.Asked(); len(asked) != 0 {
		t.Errorf("a resolver was asked: %v", asked)
	}
}

func TestPublicAddressesAreDialled(t *testing.T) {
	t.Parallel()
	for _, ip := range publicAddresses {
		if strings.HasPrefix(ip, "::ffff:") {
			continue // in an address, no spelling of it is canonical
		}
		c := New(Config{Resolver: (&nettest.Names{}).Resolver()})
		seen := record(c)
		at := netip.AddrPortFrom(netip.MustParseAddr(ip), 8080).String()
		if got := problem(t, c, "http://"+at+"/"); got != ProblemConnection || !slices.Equal(seen(), []string{at}) {
			t.Errorf("%s: %q, dialled %q", ip, got, seen())
		}
	}
}

func TestSS11_SS13_NamesAreJudgedWhereTheyLead(t *testing.T) {
	t.Parallel()
	many := make([]string, 1000)
	manyPublic := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("10.0.%d.%d", i/250, i%250)
		manyPublic[i] = fmt.Sprintf("8.8.%d.%d", i/250, i%250)
	}
	zone := map[string]nettest.Record{
		"public.test":              {IPs: []string{"8.8.8.8"}},
		"public6.test":             {IPs: []string{"2606:4700:4700::1111"}},
		"inward.test":              {IPs: []string{"10.0.0.1"}},
		"inward6.test":             {IPs: []string{"fd00::1"}},
		"mapped.test":              {IPs: []string{"::ffff:127.0.0.1"}},
		"metadata.google.internal": {IPs: []string{"169.254.169.254"}},
		"mix.test":                 {IPs: []string{"127.0.0.1", "10.0.0.1", "8.8.8.8", "::1", "fd00::1"}},
		"inward-mix.test":          {IPs: []string{"127.0.0.1", "::1", "fe80::1", "192.168.0.1"}},
		"alias.test":               {CNAME: "alias2.test"},
		"alias2.test":              {CNAME: "inward.test"},
		"public-alias.test":        {CNAME: "public.test"},
		"127.0.0.1.nip.test":       {IPs: []string{"127.0.0.1"}},
		"7f000001.nip.test":        {IPs: []string{"127.0.0.1"}},
		"many.test":                {IPs: many},
		"many-public.test":         {IPs: manyPublic},
		"last-is-public.test":      {IPs: append(slices.Clone(many), "8.8.8.8")},
		"broken.test":              {Broken: true},
		"empty.test":               {},
		"xn--bcher-kva.test":       {IPs: []string{"8.8.8.8"}},
	}
	for _, tt := range []struct {
		name, host, problem string
		dialled             []string
		count               int // how many were dialled, where it matters which not
	}{
		{"public", "public.test", ProblemConnection, []string{"8.8.8.8:443"}, 1},
		{"public, IPv6", "public6.test", ProblemConnection, []string{"[2606:4700:4700::1111]:443"}, 1},
		{"its own port", "public.test:8443", ProblemConnection, []string{"8.8.8.8:8443"}, 1},
		{"SS16 a port of another service", "inward.test:6379", ProblemAddress, nil, 0},
		{"SS16 no port", "public.test:0", ProblemAddress, nil, 0},
		{"a name in another script", "B\u00fccher.test", ProblemConnection, []string{"8.8.8.8:443"}, 1},
		{"inward", "inward.test", ProblemAddress, nil, 0},
		{"inward, IPv6", "inward6.test", ProblemAddress, nil, 0},
		{"inward, mapped", "mapped.test", ProblemAddress, nil, 0},
		{"SS8 by name", "metadata.google.internal", ProblemAddress, nil, 0},
		{"SS11 public and inward", "mix.test", ProblemConnection, []string{"8.8.8.8:443"}, 1},
		{"SS11 inward of all kinds", "inward-mix.test", ProblemAddress, nil, 0},
		{"SS13 alias of an alias", "alias.test", ProblemAddress, nil, 0},
		{"SS13 alias of a public name", "public-alias.test", ProblemConnection, []string{"8.8.8.8:443"}, 1},
		{"SS13 an address in the name", "127.0.0.1.nip.test", ProblemAddress, nil, 0},
		{"SS13 an address in the name, in hexadecimal", "7f000001.nip.test", ProblemAddress, nil, 0},
		{"F39 a thousand inside", "many.test", ProblemAddress, nil, 0},
		{"F39 a thousand", "many-public.test", ProblemConnection, nil, maxConnects},
		{"F39 a thousand inside before a public one", "last-is-public.test", ProblemConnection, []string{"8.8.8.8:443"}, 1},
		{"F39 SERVFAIL", "broken.test", ProblemConnection, nil, 0},
		{"no address", "empty.test", ProblemConnection, nil, 0},
		{"no such name", "none.test", ProblemConnection, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := New(Config{Resolver: (&nettest.Names{Zone: zone}).Resolver()})
			seen := record(c)
			if got := problem(t, c, "https://"+tt.host+"/push"); got != tt.problem {
				t.Errorf("%q, want %q", got, tt.problem)
			}
			if got := seen(); tt.dialled != nil && !slices.Equal(got, tt.dialled) || len(got) != tt.count {
				t.Errorf("dialled %d: %q; want %d: %q", len(got), got, tt.count, tt.dialled)
			}
		})
	}
}

// TestSS12_RebindingChangesNothing: a name that was public when it was looked at, and is inside when it is dialled. There is one look for
// both, and the next connection looks again.
func TestSS12_RebindingChangesNothing(t *testing.T) {
	t.Parallel()
	n := &nettest.Names{Zone: map[string]nettest.Record{"turns.test": {IPs: []string{"8.8.8.8"}, Then: &nettest.Record{IPs: []string{"127.0.0.1"}}}}}
	c := New(Config{Resolver: n.Resolver()})
	seen := record(c)
	var got []string
	for range 3 {
		got = append(got, problem(t, c, "http://turns.test/"))
	}
	if !slices.Equal(got, []string{ProblemConnection, ProblemAddress, ProblemAddress}) {
		t.Errorf("%q", got)
	}
	if !slices.Equal(seen(), []string{"8.8.8.8:80"}) || n.Looked("turns.test") != 3 {
		t.Errorf("dialled %q, looked %d times", seen(), n.Looked("turns.test"))
	}
}

func TestF39_DNSWithoutAnAnswerEnds(t *testing.T) {
	t.Parallel()
	n := &nettest.Names{Zone: map[string]nettest.Record{"silent.test": {Silent: true}}}
	c := New(Config{Resolver: n.Resolver(), DialTimeout: 100 * time.Millisecond, Timeout: time.Hour})
	start := time.Now()
	if got := problem(t, c, "http://silent.test/"); got != ProblemTimeout {
		t.Errorf("%q", got)
	}
	if took := time.Since(start); took > nettest.Bound(8*time.Second) { // left alone, a resolver tries twice for 5 seconds
		t.Errorf("it took %v", took)
	}
	usual := New(Config{}).Transport.(*transport)
	if usual.dialer.Timeout != 5*time.Second || usual.base.TLSHandshakeTimeout != 5*time.Second {
		t.Errorf("without a setting it ends after %v and %v", usual.dialer.Timeout, usual.base.TLSHandshakeTimeout)
	}
}

// TestControlIsTheLastWord: Control alone holds, whatever came before it.
func TestControlIsTheLastWord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, target, at string
		lent, want       bool
	}{
		{"public", "a.test:443", "8.8.8.8:443", false, true},
		{"inward", "a.test:443", "10.0.0.1:443", false, false},
		{"inward, listed name", "a.test:443", "10.0.0.1:443", true, true},
		{"inward, listed address", "10.0.0.1:443", "10.0.0.1:443", true, true},
		{"inward, listed IPv6 address", "[::1]:443", "[::1]:443", true, true},
		{"another than the listed address", "10.0.0.1:443", "10.0.0.2:443", true, false},
		{"another port than the listed address", "10.0.0.1:443", "10.0.0.1:22", true, false},
		{"0.0.0.0 that became the machine itself", "0.0.0.0:443", "127.0.0.1:443", true, false},
		{"no address", "a.test:443", "a.test:443", true, false},
		{"zone", "a.test:443", "[fe80::1%eth0]:443", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := permits(tt.target, tt.at, tt.lent); got != tt.want {
				t.Errorf("permits = %v", got)
			}
		})
	}
}

// inside starts a server on this machine and returns its port.
func inside(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL[strings.LastIndexByte(s.URL, ':'):]
}

func TestSS4_ListedTargets(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	reached := map[string]int{}
	port := inside(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		reached[r.Host]++
	})
	other := inside(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was reached", r.Host) })
	zone := map[string]nettest.Record{"hub.test": {IPs: []string{"127.0.0.1"}}, "sub.hub.test": {IPs: []string{"127.0.0.1"}}, "hub": {IPs: []string{"127.0.0.1"}}}
	for _, tt := range []struct{ name, entry, host, problem string }{
		{"address", "127.0.0.1" + port, "127.0.0.1" + port, ""},
		{"name", "hub.test" + port, "hub.test" + port, ""},
		{"name of one label", "hub" + port, "hub" + port, ""},
		{"name in another case", "Hub.Test" + port, "hUB.test" + port, ""},
		{"localhost", "localhost" + port, "localhost" + port, ""},
		{"address listed, name asked", "127.0.0.1" + port, "hub.test" + port, ProblemAddress},
		{"address listed, localhost asked", "127.0.0.1" + port, "localhost" + port, ProblemAddress},
		{"name listed, address asked", "hub.test" + port, "127.0.0.1" + port, ProblemAddress},
		{"name listed, name below asked", "hub.test" + port, "sub.hub.test" + port, ProblemAddress},
		{"another port", "127.0.0.1" + port, "127.0.0.1" + other, ProblemAddress},
		{"another address", "127.0.0.1" + port, "127.0.0.2" + port, ProblemAddress},
		{"no port listed", "127.0.0.1", "127.0.0.1" + port, ProblemAddress},
		{"a network listed", "127.0.0.0/8", "127.0.0.1" + port, ProblemAddress},
		{"everything listed", "*", "127.0.0.1" + port, ProblemAddress},
		{"an address around the entry", "http://127.0.0.1" + port, "127.0.0.1" + port, ProblemAddress},
		{"SS5 another spelling of what is listed", "127.1" + port, "127.1" + port, ProblemAddress},
		{"SS6 another script of what is listed", "127.0.0.1" + port, "\uff11\uff12\uff17.0.0.1" + port, ProblemAddress},
		{"SS7 mapped form of what is listed", "127.0.0.1" + port, "[::ffff:127.0.0.1]" + port, ProblemAddress},
		{"SS4 0.0.0.0 of what is listed", "127.0.0.1" + port, "0.0.0.0" + port, ProblemAddress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := New(Config{Inward: func() []string { return []string{"x.test:1", tt.entry} }, Resolver: (&nettest.Names{Zone: zone}).Resolver()})
			defer c.CloseIdleConnections()
			mu.Lock()
			before := reached[tt.host]
			mu.Unlock()
			if got := problem(t, c, "http://"+tt.host+"/"); got != tt.problem {
				t.Errorf("%q, want %q", got, tt.problem)
			}
			mu.Lock()
			defer mu.Unlock()
			if tt.problem == "" && reached[tt.host] == before {
				t.Error("it was not reached")
			}
		})
	}
}

// TestAListedTargetIsTakenOut: connections that are open are not used any more.
func TestAListedTargetIsTakenOut(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			t.Parallel()
			var reached int // the requests come one after another
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
			s.EnableHTTP2 = true
			config := Config{}
			if secure {
				s.StartTLS()
			} else {
				s.Start()
			}
			defer s.Close()
			var mu sync.Mutex
			list := []string{s.Listener.Addr().String()}
			config.Inward = func() []string {
				mu.Lock()
				defer mu.Unlock()
				return list
			}
			c := New(config)
			if secure {
				trusting(c, s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
			}
			defer c.CloseIdleConnections()
			for range 2 {
				if got := problem(t, c, s.URL); got != "" {
					t.Fatal(got)
				}
			}
			mu.Lock()
			list = nil
			mu.Unlock()
			// HTTP/2 writes in another goroutine, so the request may only learn that its connection broke.
			if got := problem(t, c, s.URL); got != ProblemAddress && (!secure || got != ProblemConnection) {
				t.Errorf("after it was taken out: %q", got)
			}
			if reached != 2 {
				t.Errorf("reached %d times", reached)
			}
		})
	}
}
