package outward

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a DNS server that nobody else hears: what it answers for each name in lower case, without the final dot.
type names struct {
	mu     sync.Mutex
	zone   map[string]record
	looked map[string]int // how often each was asked for its IPv4 addresses
}

// A record is what is told of a name.
type record struct {
	ips    []string
	cname  string
	silent bool    // no answer at all
	broken bool    // SERVFAIL
	then   *record // from the second look on
}

// resolver asks n.
func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe() // no net.PacketConn: the resolver speaks as over TCP, so that long answers fit
		go n.serve(theirs)
		return ours, nil
	}}
}

func (n *names) count(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.looked[name]
}

func (n *names) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		answer, ok := n.answer(query)
		if !ok {
			_, _ = io.Copy(io.Discard, conn) // until the other side gives up
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// look is the record of name, and whether there is one. Looks for IPv4 addresses count.
func (n *names) look(name string, kind dnsmessage.Type) (record, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.looked == nil {
		n.looked = map[string]int{}
	}
	r, ok := n.zone[name]
	if n.looked[name] > 0 && r.then != nil {
		r = *r.then
	}
	if kind == dnsmessage.TypeA {
		n.looked[name]++
	}
	return r, ok
}

// answer is false where a name is silent.
func (n *names) answer(query []byte) ([]byte, bool) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil, false
	}
	q := m.Questions[0]
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}
	m.Additionals = nil
	for name := q.Name; ; {
		r, ok := n.look(strings.TrimSuffix(strings.ToLower(name.String()), "."), q.Type)
		switch {
		case r.silent:
			return nil, false
		case r.broken:
			m.RCode = dnsmessage.RCodeServerFailure
		case !ok:
			m.RCode = dnsmessage.RCodeNameError
		}
		for _, ip := range r.ips {
			if body := resource(netip.MustParseAddr(ip), q.Type); body != nil {
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Class: q.Class, TTL: 0}, Body: body})
			}
		}
		if r.cname == "" {
			break
		}
		next := dnsmessage.MustNewName(r.cname + ".")
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Class: q.Class}, Body: &dnsmessage.CNAMEResource{CNAME: next},
		})
		name = next
	}
	packed, err := m.Pack()
	return packed, err == nil
}

// resource is ip for a question of its kind, else nil.
func resource(ip netip.Addr, kind dnsmessage.Type) dnsmessage.ResourceBody {
	switch {
	case kind == dnsmessage.TypeA && ip.Is4():
		return &dnsmessage.AResource{A: ip.As4()}
	case kind == dnsmessage.TypeAAAA && ip.Is6():
		return &dnsmessage.AAAAResource{AAAA: ip.As16()}
	}
	return nil
}

// TestNames proves that the server above answers: the tests with it look for what does not happen.
func TestNames(t *testing.T) {
	t.Parallel()
	n := &names{zone: map[string]record{
		"one.test":   {ips: []string{"192.0.2.1", "2001:db8::1"}},
		"alias.test": {cname: "one.test"},
	}}
	for _, name := range []string{"one.test", "alias.test"} {
		ips, err := n.resolver().LookupNetIP(t.Context(), "ip", name)
		if err != nil || len(ips) != 2 {
			t.Errorf("%s: %v, %v", name, ips, err)
		}
	}
	if ips, err := n.resolver().LookupNetIP(t.Context(), "ip", "none.test"); err == nil {
		t.Errorf("none.test: %v", ips)
	}
}
