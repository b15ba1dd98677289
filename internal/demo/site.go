package demo

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
)

// usernameHeader is the header in which the proxy before the site says who sends a request. The site trusts it
// because only the proxy can reach the site.
const usernameHeader = "X-Userkeys-Username"

// maxBody bounds the body of a request.
const maxBody = 64 << 10

// SiteConfig says what the sample website shows, and whom it notifies.
type SiteConfig struct {
	NotifierURL string // the address of the sample app; empty: the page has no link to it
	// Readers are the users who are notified of new notices, by Notify; see [NewNotify]. Notify may be nil.
	Readers []string
	Notify  func(context.Context, News) error
	Now     func() time.Time // nil: the system's clock
	// People are the users, and Secret is what The Noticeboard signs with when it tells userkeys which of them is at a
	// browser.
	People []Person
	Secret string
}

// NewSite returns The Noticeboard: a website with a page, a JSON API and users of its own. It keeps its notices in
// memory, signs its users in itself and tells userkeys who they are at [HandOverPath], and knows who an app's request
// is for by one header that the proxy sets. The users' notifications are kept by userkeys, which also answers apps that
// ask for them.
func NewSite(cfg SiteConfig) http.Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &noticeboard{cfg: cfg, board: newBoard(cfg.Now())}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.front)
	mux.HandleFunc("GET /noticeboard.css", serveStyle)
	mux.HandleFunc("GET /sign-in", s.signInPage)
	mux.HandleFunc("GET "+HandOverPath, s.handOver)
	for pattern, h := range map[string]http.HandlerFunc{
		"POST /notices": s.leave, "POST /sign-in": s.signIn, "POST /sign-out": s.signOut,
	} {
		mux.Handle(pattern, http.NewCrossOriginProtection().Handler(h))
	}
	for pattern, h := range map[string]apiHandler{
		"GET /session/current.json": s.current,
		"GET /posts.json":           s.posts,
		"POST /posts.json":          s.create,
	} {
		mux.Handle(pattern, api(h))
	}
	mux.Handle("/", api(func(*http.Request, string) (any, error) {
		return nil, userkeys.Errorf(userkeys.NotFound, "there is nothing at this address of The Noticeboard")
	}))
	return mux
}

type noticeboard struct {
	cfg      SiteConfig
	board    *board
	sessions sessions
}

// An apiHandler answers a request of one user; its result is written as JSON.
type apiHandler func(r *http.Request, user string) (any, error)

// api refuses requests without a user, and writes results and errors as JSON.
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
		_ = json.NewEncoder(w).Encode(answer) // an error means that the client has gone
	})
}

func (s *noticeboard) current(_ *http.Request, user string) (any, error) {
	return map[string]any{"current_user": map[string]any{"username": user, "avatar_template": ""}}, nil
}

// maxList is how many notices are listed at most.
const maxList = 60

func (s *noticeboard) posts(*http.Request, string) (any, error) {
	return map[string]any{"latest_posts": s.board.latest(maxList)}, nil
}

// maxRaw bounds a notice, in characters.
const maxRaw = 5000

func (s *noticeboard) create(r *http.Request, user string) (any, error) { return s.post(r, user) }

// post adds the notice in the form of r, and notifies the readers.
func (s *noticeboard) post(r *http.Request, user string) (post, error) {
	if err := r.ParseForm(); err != nil {
		return post{}, userkeys.Errorf(userkeys.InvalidParameters, "the body is no form of at most %d bytes", maxBody)
	}
	raw := strings.TrimSpace(r.PostForm.Get("raw"))
	if n := len([]rune(raw)); n == 0 || n > maxRaw {
		return post{}, userkeys.Errorf(userkeys.InvalidParameters,
			"raw is the text of the notice, 1 to %d characters", maxRaw)
	}
	p := s.board.post(user, raw, s.cfg.Now())
	readers := slices.DeleteFunc(slices.Clone(s.cfg.Readers), func(name string) bool { return name == user })
	if s.cfg.Notify == nil || len(readers) == 0 {
		return p, nil
	}
	return p, s.cfg.Notify(r.Context(), News{
		Usernames: readers, Type: "replied", From: user, Title: titleOf(raw),
		Excerpt: raw, Link: "/",
	})
}

// leave handles the page's form: it adds a notice by bob, so that there is somebody who can notify the user.
func (s *noticeboard) leave(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if _, err := s.post(r, "bob"); err != nil {
		http.Error(w, client.Explain(err), userkeys.AsError(err).Code.Status())
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// front shows the page of the site.
func (s *noticeboard) front(w http.ResponseWriter, r *http.Request) {
	setPageHeaders(w.Header(), "'self'")
	_, username := s.sessions.of(r)
	_ = pages.ExecuteTemplate(w, "site.html", struct {
		Posts       []post
		NotifierURL string
		Username    string // of who is signed in; empty: nobody
	}{s.board.latest(10), s.cfg.NotifierURL, username})
}
