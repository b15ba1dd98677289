package demo

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"userkeys/client"
)

// pushPath is the path of the push URL.
const pushPath = "/push"

// pushedNews is the last push, and when it came.
type pushedNews struct {
	From, Title, Excerpt, Link string
	At                         time.Time
}

// push receives pushes. A push counts for the visits whose own secret has signed it, because anybody can send
// requests to this address.
func (n *notifier) push(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPush))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	status := http.StatusUnauthorized
	for id, v := range n.pushVisits() {
		r.Body = io.NopCloser(bytes.NewReader(body))
		p, err := client.VerifyPush(r, v.secret)
		if err == nil {
			err = n.seen.Once(p, func(p client.Push) error { n.show(id, v, p); return nil })
		}
		if s := client.PushStatus(err); s != http.StatusUnauthorized {
			status = s
		}
	}
	w.WriteHeader(status)
}

const maxPush = 256 << 10

// pushVisits returns the visits that get pushes, by the values of their cookies.
func (n *notifier) pushVisits() map[string]visit {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[string]visit{}
	for id, v := range n.visits {
		if !v.secret.IsZero() {
			out[id] = *v
		}
	}
	return out
}

// show adds a push to a visit.
func (n *notifier) show(id string, v visit, p client.Push) {
	if len(p.Notifications) == 0 {
		return
	}
	first := p.Notifications[0]
	v.news = &pushedNews{
		From: first.Username, Title: first.TopicTitle, Excerpt: first.Excerpt, Link: first.URL,
		At: time.Now(),
	}
	n.remember(id, &v)
}

// pushed is a page within the page, which reloads itself every second. It makes no request to the site.
func (n *notifier) pushed(w http.ResponseWriter, r *http.Request) {
	page := struct {
		On   bool
		News *pushedNews
	}{}
	if _, v := n.visit(r); v != nil {
		page.On, page.News = !v.secret.IsZero(), v.news
	}
	setPageHeaders(w.Header(), "'none'")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors "+
		"'self'; form-action 'none'")
	_ = pages.ExecuteTemplate(w, "pushed.html", page)
}
