package clientip

import (
	"encoding/binary"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"userkeys/site"
)

// The windows of an address (W13.3), in seconds.
const (
	shortWindow = 10
	longWindow  = 60
)

// How many addresses are remembered: in 16 shards, two generations of 4096,
// some 40 MB when all are full. Whoever fills them has so many addresses that
// a limit on each stops them no more; then the longest idle are forgotten.
const (
	addressShards = 16
	generation    = 4096
)

// wideFactor is how much more a /48 may ask for than a /64 of it: a customer of an IPv6
// provider has at least the one, and often the other.
const wideFactor = 4

// Limiter counts requests by address before anybody is asked about a
// key. Refused requests count too, so that hammering goes on being refused.
type Limiter struct {
	clients *ClientIPs
	now     func() time.Time
	log     *slog.Logger // nil: none
	warned  atomic.Bool  // that addresses are not counted
	shards  [addressShards]addressShard
}

// NewLimiter returns a limiter. It says in log, unless that is nil, when it first meets an address that it cannot
// count.
func NewLimiter(clients *ClientIPs, now func() time.Time, log *slog.Logger) *Limiter {
	return &Limiter{clients: clients, now: now, log: log}
}

// addressKey is whose requests are counted together: an IPv4 address, or a network of IPv6.
type addressKey struct {
	bits uint64
	size uint8 // 32, 64 or 48
}

type addressShard struct {
	mu       sync.Mutex
	born     int64
	now, old map[addressKey]*addressCount
}

// addressCount has a number for each second of the long window and for the
// one that it begins in, so that what is counted is never too little.
type addressCount struct {
	newest int64
	slots  [64]uint32 // more than longWindow+1, and a power of two
}

// Excess is how an address is above a limit.
type Excess struct {
	Code string // the limit's name on the wire
	Wait int    // seconds
}

// carrierNAT is shared by the customers of a provider, or within a cloud (RFC 6598).
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// countable gives the address that a request is counted for. Without trusted
// proxies a private peer is probably one, and everybody's; with them, one of
// their own addresses means that they named no client.
func (l *Limiter) countable(r *http.Request) (netip.Addr, bool) {
	a, err := netip.ParseAddr(l.clients.Of(r))
	a = a.WithZone("")
	ok := err == nil
	if len(l.clients.trusted) > 0 || l.clients.unix {
		ok = ok && !l.clients.isTrusted(a)
	} else {
		ok = ok && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !carrierNAT.Contains(a)
	}
	if !ok && l.log != nil && !l.warned.Swap(true) {
		l.log.LogAttrs(r.Context(), slog.LevelWarn,
			"requests of private addresses and of Unix sockets are not limited by address; "+
				"if a proxy stands before this server, "+
				"name it as a trusted proxy and let it send X-Forwarded-For",
			slog.String("peer", r.RemoteAddr))
	}
	return a, ok
}

// Count counts a request, and reports whether its address has asked more often than e allows.
func (l *Limiter) Count(r *http.Request, e *site.Edge) (x Excess, over bool) {
	a, ok := l.countable(r)
	if !ok {
		return Excess{}, false
	}
	return l.count(a, e)
}

// count counts one request of a; over if it is one too many.
func (l *Limiter) count(a netip.Addr, e *site.Edge) (x Excess, over bool) {
	now := l.now().Unix()
	if a.Is4() {
		b := a.As4()
		return l.add(addressKey{uint64(binary.BigEndian.Uint32(b[:])), 32}, now, e, 1)
	}
	b := a.As16()
	net := binary.BigEndian.Uint64(b[:8])
	x, over = l.add(addressKey{net, 64}, now, e, 1)
	wide, tooMany := l.add(addressKey{net >> 16, 48}, now, e, wideFactor)
	if tooMany && (!over || wide.Wait > x.Wait) {
		x, over = wide, true
	}
	return x, over
}

func (l *Limiter) add(k addressKey, now int64, e *site.Edge, factor int) (Excess, bool) {
	s := &l.shards[(k.bits+uint64(k.size))*0x9e3779b97f4a7c15>>60]
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find(k, now)
	c.add(now)
	short, long := factor*e.Per10Seconds, factor*e.PerMinute
	overShort, overLong := c.sum(shortWindow) > short, c.sum(longWindow) > long
	if !overShort && !overLong {
		return Excess{}, false
	}
	waitShort, waitLong := c.wait(shortWindow, short), c.wait(longWindow, long)
	x := Excess{"ip_10_secs_limit", max(waitShort, waitLong)}
	if overLong && (!overShort || waitLong >= waitShort) {
		x.Code = "ip_60_secs_limit"
	}
	return x, true
}

// find gives the count of k, from this generation or the one before.
func (s *addressShard) find(k addressKey, now int64) *addressCount {
	if c := s.now[k]; c != nil {
		return c
	}
	if age := now - s.born; s.now == nil || len(s.now) >= generation || age > longWindow || age < 0 {
		s.now, s.old, s.born = map[addressKey]*addressCount{}, s.now, now
	}
	c := s.old[k]
	if c == nil {
		c = &addressCount{newest: now}
	}
	delete(s.old, k)
	s.now[k] = c
	return c
}

// add counts a request now. A clock that went back a little stands still
// meanwhile; one that went back further than the window begins anew.
func (c *addressCount) add(now int64) {
	if c.newest-now > longWindow || now-c.newest > longWindow {
		*c = addressCount{newest: now}
	}
	for ; c.newest < now; c.newest++ {
		*c.at(c.newest + 1) = 0
	}
	*c.at(c.newest)++
}

func (c *addressCount) at(second int64) *uint32 {
	return &c.slots[uint64(second)%uint64(len(c.slots))]
}

// sum is how many requests count in a window.
func (c *addressCount) sum(window int64) int {
	n := 0
	for s := c.newest - window; s <= c.newest; s++ {
		n += int(*c.at(s))
	}
	return n
}

// wait is in how many seconds one more request is within limit, if no other comes meanwhile.
func (c *addressCount) wait(window int64, limit int) int {
	n := c.sum(window)
	d := int64(0)
	for ; n >= limit && d <= window; d++ { // a second later, the oldest second counts no more
		n -= int(*c.at(c.newest - window + d))
	}
	return int(d)
}

// SetHeaders sets the headers that say how long to wait, and which limit was hit.
func (x Excess) SetHeaders(h http.Header) {
	h.Set("Retry-After", strconv.Itoa(x.Wait))
	h.Set("Discourse-Rate-Limit-Error-Code", x.Code)
}

// Write answers as the wire does: plain text, for whoever reads it.
func (x Excess) Write(w http.ResponseWriter) {
	h := w.Header()
	x.SetHeaders(h)
	h.Del("Content-Length")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	seconds, unit := strconv.Itoa(x.Wait), " seconds"
	if x.Wait == 1 {
		unit = " second"
	}
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = w.Write([]byte("Slow down: too many requests come from this address.\n" +
		"Please try again in " + seconds + unit + ".\nError code: " + x.Code + "\n"))
}
