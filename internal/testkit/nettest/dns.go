package nettest

import (
	"context"
	"encoding/binary"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Names is a DNS server that nobody else hears. Do not change it while it is asked.
type Names struct {
	// Zone is what it answers for each name in lower case, without the final dot.
	Zone map[string]Record

	mu     sync.Mutex
	looked map[string]int
}

// A Record is what is told of a name.
type Record struct {
	IPs    []string
	CNAME  string
	Silent bool    // no answer at all
	Broken bool    // SERVFAIL
	Then   *Record // from the second look on
}

// Resolver asks n.
func (n *Names) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe() // no net.PacketConn: the resolver speaks as over TCP, so that long answers fit
		go n.serve(theirs)
		return ours, nil
	}}
}

// Looked is how often a name was asked for its IPv4 addresses.
func (n *Names) Looked(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.looked[name]
}

// Asked are the names that were asked for their IPv4 addresses.
func (n *Names) Asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.looked))
}

func (n *Names) serve(conn net.Conn) {
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
func (n *Names) look(name string, kind dnsmessage.Type) (Record, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.looked == nil {
		n.looked = map[string]int{}
	}
	r, ok := n.Zone[name]
	if n.looked[name] > 0 && r.Then != nil {
		r = *r.Then
	}
	if kind == dnsmessage.TypeA {
		n.looked[name]++
	}
	return r, ok
}

// answer is false where a name is silent.
func (n *Names) answer(query []byte) ([]byte, bool) {
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
		case r.Silent:
			return nil, false
		case r.Broken:
			m.RCode = dnsmessage.RCodeServerFailure
		case !ok:
			m.RCode = dnsmessage.RCodeNameError
		}
		for _, ip := range r.IPs {
			if body := resource(netip.MustParseAddr(ip), q.Type); body != nil {
				header := dnsmessage.ResourceHeader{Name: name, Class: q.Class, TTL: 0}
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: body})
			}
		}
		if r.CNAME == "" {
			break
		}
		next := dnsmessage.MustNewName(r.CNAME + ".")
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
