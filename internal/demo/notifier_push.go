package demo

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"userkeys/client"
)

// pushPath is where the site pushes to.
const pushPath = "/push"

// pushedNews is what the site pushed last, and when it came.
type pushedNews struct {
	From, Title, Excerpt, Link string
	At                         time.Time
}

// push takes what the site pushes. It counts for the visits whose own secret has
// signed it, and for nobody else: anybody can find this address.
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

// pushVisits are the visits that get pushes, by their cookies' values.
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

// show gives a visit what was pushed to it.
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

// pushed is a page within the page: it asks for itself again and again, and the
// site for nothing. What was pushed is here already.
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
