// Command ownpage is a website with users, sessions and a design of its own, behind userkeys. It shows by itself what
// an app asks for, which apps have a key, and a button to revoke each: its users see no page of userkeys. It needs the
// address of the site and an admin API key with the permission grant.
package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

const cookie = "ownpage"

var (
	site, key = os.Getenv("OWNPAGE_SITE"), os.Getenv("OWNPAGE_KEY")
	passwords = map[string]string{"anna": os.Getenv("OWNPAGE_PASSWORD"), "ben": os.Getenv("OWNPAGE_PASSWORD")}
	sessions  sync.Map // the user by the value of the cookie
	//go:embed pages.html
	text  string
	pages = template.Must(template.New("").Parse(text))
	// outward asks userkeys, never through a proxy.
	outward = http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
)

func main() {
	if site == "" || key == "" || passwords["anna"] == "" {
		log.Fatal("set OWNPAGE_SITE, OWNPAGE_KEY and OWNPAGE_PASSWORD")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /notes", notes)
	mux.HandleFunc("GET /enter", func(w http.ResponseWriter, r *http.Request) {
		show(w, "enter", r.URL.Query().Get("to"))
	})
	mux.HandleFunc("POST /enter", enter)
	mux.Handle("GET /allow", signedIn(question))
	mux.Handle("POST /allow", signedIn(answer))
	mux.Handle("GET /apps", signedIn(apps))
	mux.Handle("POST /apps", signedIn(revoke))
	// Browsers do not send the forms of other websites here.
	protected := http.NewCrossOriginProtection().Handler(mux)
	listen := cmp.Or(os.Getenv("OWNPAGE_LISTEN"), "127.0.0.1:3000")
	server := http.Server{Addr: listen, Handler: protected, ReadTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// notes is the API of the website: userkeys has checked the key and says whose it is.
func notes(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "notes of %s\n", cmp.Or(r.Header.Get("X-Userkeys-Username"), "nobody"))
}

func enter(w http.ResponseWriter, r *http.Request) {
	name, to := r.PostFormValue("name"), r.PostFormValue("to")
	good := passwords[name] // a real website compares hashes
	if good == "" || subtle.ConstantTimeCompare([]byte(r.PostFormValue("password")), []byte(good)) != 1 {
		http.Error(w, "Wrong name or password.", http.StatusForbidden)
		return
	}
	c := &http.Cookie{Name: cookie, Value: rand.Text(), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	c.Secure = strings.HasPrefix(site, "https:")
	sessions.Store(c.Value, user(name))
	http.SetCookie(w, c)
	if !strings.HasPrefix(to, "/allow?") { // no other website decides where a sign-in leads
		to = "/apps"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// user is the name of somebody who is signed in.
type user string

// signedIn finds out who sends a request. The page must not be framed, or another website could have it clicked.
func signedIn(next func(http.ResponseWriter, *http.Request, user)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		w.Header().Set("Cache-Control", "no-store")
		if c, err := r.Cookie(cookie); err == nil {
			if u, ok := sessions.Load(c.Value); ok {
				next(w, r, u.(user))
				return
			}
		}
		http.Redirect(w, r, "/enter?to="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
	})
}

// question shows what an app asks for, in the website's own design.
func question(w http.ResponseWriter, r *http.Request, u user) {
	var q map[string]any
	if !u.call(w, "/user-api-key/new.json?"+r.URL.RawQuery, nil, &q) {
		return
	}
	if q["state"] != "ready" {
		http.Error(w, fmt.Sprint("Nothing was given: ", q["errors"]), http.StatusForbidden)
		return
	}
	q["names"] = strings.Split(q["scopes"].(string), ",") // in the order of the sentences
	show(w, "question", q)
}

// answer tells userkeys what the user has decided, and sends the browser back to the app.
func answer(w http.ResponseWriter, r *http.Request, u user) {
	fields := map[string]string{"id": r.PostFormValue("id"), "choose": "1"}
	for _, name := range r.PostForm["scope"] {
		fields["allow_"+name] = "1"
	}
	path := "/user-api-key.json"
	if r.PostFormValue("answer") != "yes" {
		path = "/user-api-key/deny.json"
	}
	var a struct {
		To      string `json:"redirect_url"` // empty: no app waits at an address
		Payload string // for the user to copy, if the app named no address
	}
	switch {
	case !u.call(w, path, fields, &a):
	case a.To != "":
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header()["Location"] = []string{a.To} // as it came, byte for byte
		w.WriteHeader(http.StatusFound)
	default:
		show(w, "answered", a.Payload)
	}
}

func apps(w http.ResponseWriter, _ *http.Request, u user) {
	var list map[string]any
	if u.call(w, "/user-api-key/apps.json", nil, &list) {
		list["user"] = string(u)
		show(w, "apps", list)
	}
}

func revoke(w http.ResponseWriter, r *http.Request, u user) {
	var done map[string]any
	if u.call(w, "/user-api-key/revoke.json", map[string]string{"id": r.PostFormValue("id")}, &done) {
		http.Redirect(w, r, "/apps", http.StatusSeeOther)
	}
}

// call asks userkeys in the name of a user, and reports whether that went well; if not, w has the reason. With fields
// it sends them, else it only reads.
func (u user) call(w http.ResponseWriter, path string, fields map[string]string, answer any) bool {
	body, _ := json.Marshal(fields) // texts only
	method := "POST"
	if fields == nil {
		method = "GET"
	}
	r, err := http.NewRequest(method, site+path, bytes.NewReader(body))
	if err == nil {
		r.Header = http.Header{"Api-Key": {key}, "Api-Username": {string(u)}, "Content-Type": {"application/json"}}
		var res *http.Response
		if res, err = outward.Do(r); err == nil {
			defer res.Body.Close()
			read := json.NewDecoder(res.Body)
			read.UseNumber()
			if res.StatusCode == http.StatusOK && read.Decode(answer) == nil {
				return true
			}
			var refused struct{ Errors []string }
			_ = read.Decode(&refused) // without a reason the status remains
			http.Error(w, strings.Join(refused.Errors, " "), res.StatusCode)
			return false
		}
	}
	log.Print(err)
	http.Error(w, "Keys cannot be given now.", http.StatusServiceUnavailable)
	return false
}

func show(w http.ResponseWriter, name string, data any) {
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		log.Print(err)
	}
}
