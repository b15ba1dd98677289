package demo

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"userkeys"
)

// usernameHeader is how the proxy before the site says who calls. The site
// believes it because only the proxy can reach the site.
const usernameHeader = "X-Userkeys-Username"

// maxBody bounds what either sample program reads.
const maxBody = 64 << 10

// SiteConfig says what the sample site shows.
type SiteConfig struct {
	NotifierURL string // where the sample app is; empty shows no link
	// Tell tells users of a new notice, as [NewTeller] does; nil: they see it when they look.
	Tell func(context.Context, News) error
	Now  func() time.Time // nil: the system's clock
}

// NewSite makes The Noticeboard: a website as one would be without userkeys.
// It has a page and a JSON API, keeps all in memory, and knows its callers by
// one header that the proxy sets.
func NewSite(cfg SiteConfig) http.Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &noticeboard{cfg: cfg, board: newBoard(cfg.Now())}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.front)
	mux.HandleFunc("GET /noticeboard.css", serveStyle)
	mux.Handle("POST /notices", http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.leave)))
	for pattern, h := range map[string]apiHandler{
		"GET /session/current":              s.current,
		"GET /session/current.json":         s.current,
		"GET /notifications":                s.notifications,
		"GET /notifications.json":           s.notifications,
		"GET /notifications/totals":         s.totals,
		"GET /notifications/totals.json":    s.totals,
		"PUT /notifications/mark-read":      s.markRead,
		"PUT /notifications/mark-read.json": s.markRead,
		"GET /posts.json":                   s.posts,
		"POST /posts.json":                  s.create,
	} {
		mux.Handle(pattern, api(h))
	}
	mux.Handle("/", api(func(*http.Request, string) (any, error) {
		return nil, userkeys.Errorf(userkeys.NotFound, "there is nothing at this address of The Noticeboard")
	}))
	return mux
}

type noticeboard struct {
	cfg   SiteConfig
	board *board
}

// An apiHandler answers for one user; what it returns becomes JSON.
type apiHandler func(r *http.Request, user string) (any, error)

// api refuses callers without a name, and writes answers and refusals.
func api(h apiHandler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		user, err := url.PathUnescape(r.Header.Get(usernameHeader))
		if err != nil || user == "" {
			w.WriteHeader(http.StatusUnauthorized)
			e := userkeys.Errorf(userkeys.NotLoggedIn, "this needs a user: call with the header %s", userkeys.KeyHeader)
			_, _ = w.Write(e.JSON())
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		answer, err := h(r, user)
		if err != nil {
			e := userkeys.AsError(err)
			w.WriteHeader(e.Code.Status())
			_, _ = w.Write(e.JSON())
			return
		}
		_ = json.NewEncoder(w).Encode(answer) // a caller that left needs no answer
	})
}

func (s *noticeboard) current(_ *http.Request, user string) (any, error) {
	unread, high := s.board.unread(user)
	return map[string]any{"current_user": map[string]any{
		"id": s.board.userID(user), "username": user, "avatar_template": "",
		"unread_notifications": unread + high, "unread_high_priority_notifications": high,
	}}, nil
}

// totals has the members that Discourse's apps read, also those that mean nothing here.
func (s *noticeboard) totals(_ *http.Request, user string) (any, error) {
	unread, messages := s.board.unread(user)
	return map[string]any{
		"id": s.board.userID(user), "username": user, "unread_notifications": unread, "unread_personal_messages": messages,
		"unseen_reviewables": 0, "topic_tracking": map[string]int{"new": 0, "unread": 0}, "group_inboxes": []any{},
	}, nil
}

// maxList is the most that one answer lists.
const maxList = 60

func (s *noticeboard) notifications(r *http.Request, user string) (any, error) {
	limit := maxList
	if v := r.URL.Query().Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxList {
			return nil, userkeys.Errorf(userkeys.InvalidParameters, "limit is a number from 1 to %d", maxList)
		}
		limit = n
	}
	all := s.board.notificationsOf(user)
	seen := 0
	if len(all) > 0 {
		seen = all[0].ID
	}
	return map[string]any{
		"notifications": all[:min(limit, len(all))], "total_rows_notifications": len(all), "seen_notification_id": seen,
	}, nil
}

func (s *noticeboard) markRead(r *http.Request, user string) (any, error) {
	fields, err := readFields(r)
	if err != nil {
		return nil, err
	}
	id := 0 // all
	if v := fields["id"]; v != "" {
		if id, err = strconv.Atoi(v); err != nil || id < 1 {
			return nil, userkeys.Errorf(userkeys.InvalidParameters, "id is the number of a notification")
		}
	}
	if !s.board.markRead(user, id) {
		return nil, userkeys.Errorf(userkeys.NotFound, "you have no notification %d", id)
	}
	return map[string]string{"success": "OK"}, nil
}

func (s *noticeboard) posts(*http.Request, string) (any, error) {
	return map[string]any{"latest_posts": s.board.latest(maxList)}, nil
}

// maxRaw bounds a post, in characters.
const maxRaw = 5000

func (s *noticeboard) create(r *http.Request, user string) (any, error) {
	fields, err := readFields(r)
	if err != nil {
		return nil, err
	}
	raw := strings.TrimSpace(fields["raw"])
	if n := len([]rune(raw)); n == 0 || n > maxRaw {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "raw is the text of the post, 1 to %d characters", maxRaw)
	}
	return s.post(r.Context(), user, raw)
}

// post adds a notice, and tells everybody else who has been here.
func (s *noticeboard) post(ctx context.Context, user, raw string) (post, error) {
	p, others := s.board.post(user, raw, s.cfg.Now())
	if s.cfg.Tell == nil || len(others) == 0 {
		return p, nil
	}
	return p, s.cfg.Tell(ctx, News{Usernames: others, From: user, Title: titleOf(raw), Excerpt: raw, Link: "/"})
}

// leave is the page's form: a notice by bob, so that there is somebody to be told by.
func (s *noticeboard) leave(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	raw := strings.TrimSpace(r.FormValue("raw"))
	if n := len([]rune(raw)); n == 0 || n > maxRaw {
		http.Error(w, "a notice has 1 to 5000 characters", http.StatusBadRequest)
		return
	}
	if _, err := s.post(r.Context(), "bob", raw); err != nil {
		http.Error(w, "the notice is there, but nobody could be told: "+userkeys.AsError(err).Public, http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// readFields reads a form or a flat JSON object.
func readFields(r *http.Request) (map[string]string, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	out := map[string]string{}
	if kind != "application/json" {
		if err := r.ParseForm(); err != nil {
			return nil, userkeys.Errorf(userkeys.InvalidParameters, "the body is no form of at most %d bytes", maxBody)
		}
		for name := range r.Form {
			out[name] = r.Form.Get(name)
		}
		return out, nil
	}
	var values map[string]any
	dec := json.NewDecoder(r.Body)
	dec.UseNumber()
	if err := dec.Decode(&values); err != nil {
		return nil, userkeys.Errorf(userkeys.InvalidParameters, "the body is no JSON object of at most %d bytes", maxBody)
	}
	for name, v := range values {
		switch v := v.(type) {
		case string:
			out[name] = v
		case json.Number:
			out[name] = v.String()
		}
	}
	return out, nil
}

// front is the one page: the board as strangers read it.
func (s *noticeboard) front(w http.ResponseWriter, _ *http.Request) {
	setPageHeaders(w.Header(), "'self'")
	_ = pages.ExecuteTemplate(w, "site.html", struct {
		Posts       []post
		NotifierURL string
	}{s.board.latest(10), s.cfg.NotifierURL})
}
