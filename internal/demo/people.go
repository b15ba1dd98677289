package demo

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Person is a user of The Noticeboard, who signs in there and nowhere else.
type Person struct{ Username, Name, Password string }

// sessionCookie is the cookie of a session at The Noticeboard. It has nothing to do with that of userkeys.
const sessionCookie = "noticeboard"

// HandOverPath is the address to which userkeys sends a browser to learn who is there.
const HandOverPath = "/sso"

// sessions are the sessions of The Noticeboard, in memory.
type sessions struct {
	mu    sync.Mutex
	names map[string]string // user names by the cookie
}

func (s *sessions) begin(username string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names == nil {
		s.names = map[string]string{}
	}
	token := rand.Text()
	s.names[token] = username
	return token
}

func (s *sessions) of(r *http.Request) (token, username string) {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return "", ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.Value, s.names[c.Value]
}

func (s *sessions) end(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.names, token)
}

func (s *noticeboard) person(username string) (Person, bool) {
	for _, p := range s.cfg.People {
		if p.Username == username {
			return p, true
		}
	}
	return Person{}, false
}

// signInPage asks who somebody is.
func (s *noticeboard) signInPage(w http.ResponseWriter, r *http.Request) {
	s.askWho(w, http.StatusOK, r.URL.Query().Get("back"), "")
}

func (s *noticeboard) askWho(w http.ResponseWriter, status int, back, problem string) {
	setPageHeaders(w.Header(), "'self'")
	w.WriteHeader(status)
	_ = pages.ExecuteTemplate(w, "sign-in.html", struct{ Back, Problem string }{ownPath(back), problem})
}

// ownPath returns back if it is an address of this site, and else the first page.
func ownPath(back string) string {
	if u, err := url.Parse(back); err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(back, "/") ||
		strings.HasPrefix(back, "//") || strings.Contains(back, `\`) {
		return "/"
	}
	return back
}

func (s *noticeboard) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	back := ownPath(r.PostFormValue("back"))
	p, known := s.person(r.PostFormValue("username"))
	if !known || subtle.ConstantTimeCompare([]byte(p.Password), []byte(r.PostFormValue("password"))) != 1 {
		s.askWho(w, http.StatusForbidden, back, "The name or the password is wrong.")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: s.sessions.begin(p.Username), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, back, http.StatusSeeOther)
}

func (s *noticeboard) signOut(w http.ResponseWriter, r *http.Request) {
	token, _ := s.sessions.of(r)
	s.sessions.end(token)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// handOver tells userkeys who is at the browser, by DiscourseConnect. It is what any website adds; see
// docs/any-website.md.
func (s *noticeboard) handOver(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !hmac.Equal([]byte(s.sign(q.Get("sso"))), []byte(q.Get("sig"))) {
		http.Error(w, "this request does not come from the site's userkeys", http.StatusForbidden)
		return
	}
	_, username := s.sessions.of(r)
	p, signedIn := s.person(username)
	if !signedIn {
		http.Redirect(w, r, "/sign-in?"+url.Values{"back": {r.URL.RequestURI()}}.Encode(), http.StatusFound)
		return
	}
	text, _ := base64.StdEncoding.DecodeString(q.Get("sso"))
	asked, _ := url.ParseQuery(string(text))
	answer := base64.StdEncoding.EncodeToString([]byte(url.Values{
		"nonce": {asked.Get("nonce")}, "external_id": {p.Username}, "username": {p.Username}, "name": {p.Name},
	}.Encode()))
	to := asked.Get("return_sso_url") + "?" + url.Values{"sso": {answer}, "sig": {s.sign(answer)}}.Encode()
	http.Redirect(w, r, to, http.StatusFound)
}

func (s *noticeboard) sign(payload string) string {
	mac := hmac.New(sha256.New, []byte(s.cfg.Secret))
	_, _ = mac.Write([]byte(payload)) // a hash never fails
	return hex.EncodeToString(mac.Sum(nil))
}
