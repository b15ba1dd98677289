package watch

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"userkeys"
	"userkeys/client"
)

// DashboardConfig says what a [Dashboard] shows, and at which address.
type DashboardConfig struct {
	Watcher *Watcher
	Host    string // 127.0.0.1:PORT, as browsers send it
	Now     func() time.Time
}

// A Dashboard is a page that shows all watched accounts to the user of this machine only: its address has a random
// token, it refuses requests under other host names, and it shows no key.
type Dashboard struct {
	cfg   DashboardConfig
	token string
	mux   http.Handler

	mu    sync.Mutex
	heard map[chan struct{}]bool // the pages that are open
}

//go:embed dashboard.html
var dashboardHTML string

//go:embed dashboard.js
var dashboardJS string

//go:embed dashboard.css
var dashboardCSS string

var dashboardPage = template.Must(template.New("").Parse(dashboardHTML))

const (
	dashboardPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action " +
		"'self'; frame-ancestors 'none'; base-uri 'none'"
	maxOpenPages = 20
	keepAlive    = 20 * time.Second // between two comments on an open stream that keep it open
	markTimeout  = 20 * time.Second
	maxFormBytes = 4 << 10
)

// NewDashboard returns a Dashboard.
func NewDashboard(cfg DashboardConfig) *Dashboard {
	d := &Dashboard{cfg: cfg, token: client.RandomID(), heard: map[chan struct{}]bool{}}
	at := "/" + d.token
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+at+"/{$}", d.page)
	mux.HandleFunc("GET "+at+"/events", d.events)
	mux.HandleFunc("POST "+at+"/read", d.read)
	mux.HandleFunc("POST "+at+"/refresh", d.refresh)
	mux.HandleFunc("GET "+at+"/dashboard.css", text("text/css; charset=utf-8", dashboardCSS))
	mux.HandleFunc("GET "+at+"/dashboard.js", text("text/javascript; charset=utf-8", dashboardJS))
	d.mux = http.NewCrossOriginProtection().Handler(mux)
	return d
}

// URL returns the address of the page.
func (d *Dashboard) URL() string { return "http://" + d.cfg.Host + "/" + d.token + "/" }

// ServeHTTP implements [http.Handler].
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", dashboardPolicy)
	h.Set("Referrer-Policy", "same-origin") // the address has the token, which no site must learn
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Host != d.cfg.Host { // another host name that points here
		http.Error(w, "nothing lives under this name", http.StatusMisdirectedRequest)
		return
	}
	d.mux.ServeHTTP(w, r)
}

// Changed makes the open pages load again. Call it from [Config].Changed.
func (d *Dashboard) Changed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.heard {
		select {
		case c <- struct{}{}:
		default: // it will load again anyway
		}
	}
}

// dashboardView is what the page shows.
type dashboardView struct {
	Unread   int
	Problem  string
	Accounts []accountView
	Now      string
}

type accountView struct {
	State
	Host        string
	Checked     string
	Known       bool // the numbers were read at least once
	DayPercent  int
	HalfReached bool
	Lines       []lineView
	Listen      bool
	Over        bool // the key has ended, and the site is not asked again
}

type lineView struct {
	client.Notification
	When string
}

func (d *Dashboard) view(problem string) dashboardView {
	now := d.cfg.Now()
	v := dashboardView{Problem: problem, Now: now.Format("15:04:05")}
	for _, s := range d.cfg.Watcher.States() {
		a := accountView{
			State: s, Host: strings.TrimPrefix(strings.TrimPrefix(s.Site, "https://"), "http://"), Known: !s.CheckedAt.IsZero(),
			Checked: ago(s.CheckedAt, now), DayPercent: min(100, s.Budget.Day*100/max(s.Budget.PerDay, 1)),
			HalfReached: s.Budget.Day >= half(s.Budget.PerDay), Listen: s.Live, Over: s.Health == Dead,
		}
		for _, n := range s.Latest {
			if n.Title == "" {
				n.Title = "Notification " + strconv.FormatInt(n.ID, 10)
			}
			a.Lines = append(a.Lines, lineView{n, ago(n.CreatedAt, now)})
		}
		v.Unread += s.All()
		v.Accounts = append(v.Accounts, a)
	}
	return v
}

func (d *Dashboard) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = dashboardPage.Execute(w, d.view(problems[r.URL.Query().Get("problem")])) // a browser that left needs no page
}

// problems are the messages that a page shows by its address, so that nobody can put other words on it.
var problems = map[string]string{
	"":      "",
	"limit": "Our half of the calls of that key is used up for now, so nothing was sent. Try again in a minute.",
	"read":  "The site did not mark that as read. Its line below says how it stands; try again later, or do it there.",
}

// read marks one notification as read, or all of an account.
func (d *Dashboard) read(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	id, err := strconv.ParseInt(r.PostFormValue("id"), 10, 64)
	if err != nil || id < 0 {
		http.Error(w, "which notification?", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), markTimeout)
	defer cancel()
	to := "./"
	if err := d.cfg.Watcher.MarkRead(ctx, r.PostFormValue("account"), id); err != nil {
		to = "./?problem=read"
		if errors.Is(err, userkeys.RateLimited) {
			to = "./?problem=limit"
		}
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (d *Dashboard) refresh(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	d.cfg.Watcher.Refresh(r.PostFormValue("account"))
	http.Redirect(w, r, "./", http.StatusSeeOther)
}

// events tells an open page to load again.
func (d *Dashboard) events(w http.ResponseWriter, r *http.Request) {
	heard, ok := d.open()
	if !ok {
		http.Error(w, "too many open pages", http.StatusServiceUnavailable)
		return
	}
	defer d.close(heard)
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // the stream may stay open longer than other requests
	say := func(text string) bool {
		_ = out.SetWriteDeadline(d.cfg.Now().Add(keepAlive)) // fails only on a server of a test, without deadlines
		_, err := fmt.Fprint(w, text)
		return err == nil && out.Flush() == nil
	}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for ok := say(": hello\n\n"); ok; {
		select {
		case <-heard:
			ok = say("event: change\ndata: {}\n\n")
		case <-alive.C:
			ok = say(": still here\n\n")
		case <-r.Context().Done():
			return
		}
	}
}

func (d *Dashboard) open() (chan struct{}, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.heard) >= maxOpenPages {
		return nil, false
	}
	c := make(chan struct{}, 1)
	d.heard[c] = true
	return c, true
}

func (d *Dashboard) close(c chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.heard, c)
}

func text(contentType, content string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(content)) // a browser that left needs none
	}
}

// ago returns how long ago t was, in words.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return ""
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < day:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return t.Local().Format("2 Jan 2006")
}
