package demo

import (
	"context"
	"net/http"

	"userkeys"
	"userkeys/client"
)

// A notifierPage is the content of the app's page.
type notifierPage struct {
	Site    string
	Notice  string
	Problem string // on the page of a problem

	Connected bool
	Username  string
	Unread    int
	Messages  int
	News      []newsItem
	KeyStart  string   // the first characters of the key
	May       []string // in words
	Tried     *client.APIError
}

type newsItem struct {
	What string // what From did
	client.Notification
}

// home shows what is new, or the button that asks for a key.
func (n *notifier) home(w http.ResponseWriter, r *http.Request) {
	id, v := n.visit(r)
	page := notifierPage{Site: n.cfg.SiteURL}
	if v != nil {
		shown := *v
		if v.cred != nil {
			if err := n.fill(r.Context(), &page, v); err != nil {
				shown = *n.refused(shown, err)
			}
		}
		page.Connected, page.Notice = shown.cred != nil, shown.notice
		if shown.notice = ""; v.cred != nil && shown != *v { // a notice is said once
			n.remember(id, &shown)
		}
	}
	n.render(w, http.StatusOK, page)
}

// fill requests the numbers and the newest notifications from the site's API.
func (n *notifier) fill(ctx context.Context, page *notifierPage, v *visit) error {
	page.Username, page.Tried = v.cred.Username, v.tried
	page.KeyStart = MaskKey(v.cred.Key)
	page.May = Sentences(v.cred.Scopes)
	totals, err := v.cred.Totals(ctx, n.cfg.HTTP)
	if err != nil {
		return err
	}
	page.Unread, page.Messages = totals.Unread, totals.Messages
	list, err := v.cred.Notifications(ctx, n.cfg.HTTP, 10)
	if err != nil {
		return err
	}
	// Discourse's numbers for the kinds that The Noticeboard tells.
	what := map[int]string{1: "mentioned you in", 2: "wrote", 6: "sent you a message:"}
	for _, item := range list {
		page.News = append(page.News, newsItem{what[item.Type], item})
	}
	return nil
}

// Sentences says in words what the named scopes allow, as the site's own pages do.
func Sentences(names userkeys.Scopes) []string {
	catalog, err := userkeys.NewCatalog()
	if err != nil { // cannot happen: nothing of our own is added
		panic(err)
	}
	return catalog.Sentences(names)
}

// MaskKey returns the beginning of a key: enough to recognise it and too little to use it.
func MaskKey(k userkeys.Key) string {
	text := k.Reveal()
	return text[:min(4, len(text))] + "..."
}

func (n *notifier) problem(w http.ResponseWriter, status int, err error) {
	n.render(w, status, notifierPage{Site: n.cfg.SiteURL, Problem: userkeys.AsError(err).Public})
}

func (n *notifier) render(w http.ResponseWriter, status int, page notifierPage) {
	// The connect form redirects to the site, and browsers hold form-action on redirects too.
	setPageHeaders(w.Header(), "'self' "+n.siteOrigin)
	w.WriteHeader(status)
	_ = pages.ExecuteTemplate(w, "notifier.html", page) // a browser that left needs no page
}
