package deliveries

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"userkeys/outbox"
	"userkeys/server/door"
	"userkeys/server/input"
	"userkeys/server/page"
	"userkeys/site"
)

const (
	pagePath        = "/user-api-key/deliveries"
	deliveriesShown = 20 // of each list on a page
	hostsShown      = 10 // unless all are asked for
)

// deliveriesPage shows an administrator what is pushed, and what could not be.
type deliveriesPage struct {
	At      deliveriesAt
	Totals  pushTotals
	Hosts   []hostView // those in trouble first
	Hidden  int        // hosts that are left out
	Waiting deliveryList
	Dead    deliveryList
	Notice  string
}

// deliveriesAt is which part of it.
type deliveriesAt struct {
	Host          string // only this one; empty: all
	Name          string // of it, for people
	waiting, dead int64  // the cursors; 0: the start
	allHosts      bool
}

// pushTotals are sums over all hosts.
type pushTotals struct {
	Queued, Dead, Delivered, Failed int64
	Due                             page.Moment // of what is due first; unknown: now
}

// hostView is how pushing to a host goes.
type hostView struct {
	Host, Name                      string
	State                           outbox.Health // empty: it works
	Off                             string        // to whom pushing is switched off; empty: to nobody
	Queued, Dead, Delivered, Failed int64
	Success, Failure                page.Moment // last
	Why                             string      // it fails
	Closed                          page.Moment // until when some of it is left alone; unknown: all of it is open
}

// deliveryView is a delivery in a list.
type deliveryView struct {
	ID       int64
	To       string
	User     string
	Test     bool
	Attempts int
	Queued   page.Moment
	Next     page.Moment // unknown: now
	Held     bool        // until then, for its user
	Died     page.Moment
	Why      string
}

// deliveryList is a page of deliveries.
type deliveryList struct {
	Deliveries []deliveryView
	Later      bool   // it is not the first page
	Older      string // address of the next page; empty: this is the last
}

func parseDeliveriesAt(q url.Values) deliveriesAt {
	at := deliveriesAt{allHosts: q.Get("hosts") == "all"}
	at.waiting, _ = input.ParseID(q.Get("waiting")) // what is no id is the first page
	at.dead, _ = input.ParseID(q.Get("dead"))
	if host, err := site.ParsePushHost(q.Get("host")); err == nil { // what is no host is all of them
		at.Host, at.Name = host, hostName(host)
	}
	return at
}

// address is where at is to be seen.
func (at deliveriesAt) address() string {
	q := url.Values{}
	if at.Host != "" {
		q.Set("host", at.Host)
	}
	if at.waiting != 0 {
		q.Set("waiting", strconv.FormatInt(at.waiting, 10))
	}
	if at.dead != 0 {
		q.Set("dead", strconv.FormatInt(at.dead, 10))
	}
	if at.allHosts {
		q.Set("hosts", "all")
	}
	if len(q) == 0 {
		return pagePath
	}
	return pagePath + "?" + q.Encode()
}

// Of is the address of the page of one host; of all for an empty one.
func (at deliveriesAt) Of(host string) string { return deliveriesAt{Host: host}.address() }

// Every is the address of the page with all hosts.
func (at deliveriesAt) Every() string {
	at.allHosts = true
	return at.address()
}

// hostName is a host as people write it: without the port that its scheme has anyway.
func hostName(host string) string {
	name := host
	if strings.HasPrefix(host, "https://") {
		name = strings.TrimSuffix(host, ":443")
	} else if strings.HasPrefix(host, "http://") {
		name = strings.TrimSuffix(host, ":80")
	}
	return page.ShownText(name)
}

func (h *Handlers) deliveries(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	q := r.URL.Query()
	p := deliveriesPage{At: parseDeliveriesAt(q), Notice: deliveryNotice(q)}
	hosts, err := h.cfg.Pushes.Hosts(r.Context())
	if err != nil {
		return err
	}
	now := h.door.Now()
	p.showHosts(hosts, now)
	names := door.NewNames(h.cfg.Accounts)
	for _, list := range []struct {
		to     *deliveryList
		dead   bool
		before int64
		older  func(id int64) deliveriesAt
	}{
		{&p.Waiting, false, p.At.waiting, func(id int64) deliveriesAt { at := p.At; at.waiting = id; return at }},
		{&p.Dead, true, p.At.dead, func(id int64) deliveriesAt { at := p.At; at.dead = id; return at }},
	} {
		found, err := h.cfg.Pushes.Deliveries(r.Context(),
			outbox.Filter{Dead: list.dead, Host: p.At.Host, Before: list.before, Limit: deliveriesShown + 1})
		if err != nil {
			return err
		}
		if len(found) > deliveriesShown {
			found = found[:deliveriesShown]
			list.to.Older = list.older(found[deliveriesShown-1].ID).address()
		}
		list.to.Later = list.before != 0
		for _, d := range found {
			name, err := names.Of(r.Context(), d.UserID)
			if err != nil {
				return err
			}
			list.to.Deliveries = append(list.to.Deliveries, viewDelivery(d, name, now))
		}
	}
	return h.page.Show(w, c, http.StatusOK, p)
}

// showHosts sums hosts up, and puts those that are to be seen in order.
func (p *deliveriesPage) showHosts(hosts []outbox.Host, now time.Time) {
	var due time.Time
	for _, h := range hosts {
		p.Totals.Queued += int64(h.Queued)
		p.Totals.Dead += int64(h.Dead)
		p.Totals.Delivered += h.Delivered
		p.Totals.Failed += h.Failed
		if !h.DueAt.IsZero() && (due.IsZero() || h.DueAt.Before(due)) {
			due = h.DueAt
		}
		if p.At.Host == "" || p.At.Host == h.Host {
			p.Hosts = append(p.Hosts, viewHost(h, now))
		}
	}
	if due.After(now) {
		p.Totals.Due = page.MomentAt(due, now)
	}
	slices.SortStableFunc(p.Hosts, func(a, b hostView) int {
		return cmp.Or(cmp.Compare(b.trouble(), a.trouble()), cmp.Compare(b.Queued+b.Dead, a.Queued+a.Dead),
			cmp.Compare(a.Host, b.Host))
	})
	if !p.At.allHosts && len(p.Hosts) > hostsShown {
		p.Hidden = len(p.Hosts) - hostsShown
		p.Hosts = p.Hosts[:hostsShown]
	}
}

func viewHost(h outbox.Host, now time.Time) hostView {
	v := hostView{
		Host: h.Host, Name: hostName(h.Host), Queued: int64(h.Queued), Dead: int64(h.Dead),
		Delivered: h.Delivered, Failed: h.Failed,
		Success: page.MomentAt(h.DeliveredAt, now), Failure: page.MomentAt(h.FailedAt, now),
		Why: page.ShownText(h.CurrentProblem().Detail()),
	}
	if health := h.Health(now); health != outbox.Working {
		v.State = health
	}
	if h.ClosedUntil.After(now) {
		v.Closed = page.MomentAt(h.ClosedUntil, now)
	}
	if h.Off > 0 {
		v.Off = "switched off for " + page.Count(h.Off, "app")
	}
	return v
}

// trouble is how much a host wants to be looked at.
func (h hostView) trouble() int {
	switch {
	case h.State == outbox.Closed:
		return 6
	case h.State == outbox.Failing:
		return 5
	case h.Off != "":
		return 4
	case h.State != "":
		return 3
	case h.Dead > 0:
		return 2
	case h.Queued > 0:
		return 1
	}
	return 0
}

// Stuck tells whether trying again could change anything.
func (h hostView) Stuck() bool { return h.trouble() > 1 }

func viewDelivery(d outbox.Delivery, username string, now time.Time) deliveryView {
	v := deliveryView{
		ID: d.ID, To: page.ShownText(d.PushURL), User: username, Test: d.NotificationID == 0, Attempts: d.Attempt,
		Queued: page.MomentAt(d.CreatedAt, now), Held: d.Held(now), Died: page.MomentAt(d.DeadAt, now),
		Why: page.ShownText(d.Problem.Detail()),
	}
	if d.NextAt.After(now) {
		v.Next = page.MomentAt(d.NextAt, now)
	}
	if v.User == "" {
		v.User = "user " + strconv.FormatInt(d.UserID, 10)
	}
	return v
}

// Tried says how it went so far.
func (d deliveryView) Tried() string {
	switch {
	case d.Attempts == 0:
		return "not tried yet"
	case d.Attempts == 1:
		return "tried once" + explained(d.Why, ": ")
	}
	return "tried " + page.Count(d.Attempts, "time") + explained(d.Why, ", the last time: ")
}

// explained puts a reason behind what it explains; nothing if there is none.
func explained(why, between string) string {
	if why == "" {
		return ""
	}
	return between + why
}

// deliveryNotice says what was done a moment ago.
func deliveryNotice(q url.Values) string {
	n, err := strconv.Atoi(q.Get("n"))
	if err != nil || n < 0 {
		n = 0
	}
	switch q.Get("done") {
	case "replayed":
		if n == 0 {
			return "There was nothing left to send again."
		}
		return deliveryCount(n) + " waiting again."
	case "discarded":
		if n == 0 {
			return "There was nothing left to discard."
		}
		return deliveryCount(n) + " discarded."
	case "resumed":
		return "The host is tried again, with everything that was given up in the last day."
	}
	return ""
}

func deliveryCount(n int) string {
	if n == 1 {
		return "1 delivery is"
	}
	return strconv.Itoa(n) + " deliveries are"
}
