// Webapp shows its visitors what is unread for them on any number of sites. The environment configures it:
//
//	WEBAPP_URL      its own https address; a proxy before it ends TLS
//	WEBAPP_SECRET   64 random hex digits, by which it encrypts the keys that it stores
//	WEBAPP_DATA     the folder for the stored keys; the current one by default
//	WEBAPP_LISTEN   the address to listen on, 127.0.0.1:8080 by default
//	WEBAPP_PRIVATE  yes lets it call private addresses: then every visitor can look into your network
package main

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"userkeys"
	"userkeys/client"
)

const cookie = "__Host-visitor" // a name that no neighbour of this host can plant

//go:embed page.html
var text string

var (
	page   = template.Must(template.New("").Parse(text))
	own    = must(client.ParseSite(os.Getenv("WEBAPP_URL")))
	data   = os.Getenv("WEBAPP_DATA")
	listen = cmp.Or(os.Getenv("WEBAPP_LISTEN"), "127.0.0.1:8080")
	box    = must(cipher.NewGCMWithRandomNonce(must(aes.NewCipher(must(hex.DecodeString(os.Getenv("WEBAPP_SECRET")))))))
	pair   = must(client.NewKeyPair(0)) // one for all requests: each has its own nonce, and making a pair takes time
	scopes = userkeys.Scopes{"notifications"}
	asked  sync.Map // *client.Authorization by visitor and state

	outward = client.Outward() // visitors choose whom it calls, so it reaches public addresses only
)

func main() {
	if os.Getenv("WEBAPP_PRIVATE") == "yes" {
		outward = &http.Client{Timeout: 10 * time.Second}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", handler(home))
	mux.Handle("POST /connect", handler(connect))
	mux.Handle("GET /callback", handler(callback))
	mux.Handle("POST /disconnect", handler(disconnect))
	protected := http.NewCrossOriginProtection().Handler(mux) // forms of other sites must not act for visitors
	server := http.Server{Addr: listen, Handler: protected, ReadTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatalf("WEBAPP_URL must be an address, and WEBAPP_SECRET 64 hex digits (openssl rand -hex 32): %v", err)
	}
	return v
}

// A handler returns where a visitor goes next; empty if it has answered itself.
type handler func(w http.ResponseWriter, r *http.Request, visitor string) (string, error)

// ServeHTTP finds out which visitor sends r, and answers with what h says.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// There is no form-action: the form redirects to the visitor's site.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	c, err := r.Cookie(cookie)
	if err != nil {
		c = &http.Cookie{
			Name: cookie, Value: client.RandomID() + client.RandomID(), Path: "/", MaxAge: 90 * 24 * 3600,
			Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		}
		http.SetCookie(w, c)
	}
	id := sha256.Sum256([]byte(c.Value)) // whoever reads the names in the folder of keys does not learn the cookies
	if to, err := h(w, r, hex.EncodeToString(id[:])); err != nil {
		http.Error(w, client.Explain(err), http.StatusBadRequest)
	} else if to != "" {
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

func connect(_ http.ResponseWriter, r *http.Request, visitor string) (string, error) {
	support, err := client.Probe(r.Context(), outward, r.PostFormValue("site"))
	if err == nil && client.PlainHTTP(support.Site) {
		err = userkeys.Errorf(userkeys.InvalidParameters, "over plain http others would read the key; give an https address")
	}
	if err != nil {
		return "", err
	}
	state := client.RandomID()
	auth, err := client.Begin(client.Request{
		Site: support.Site, ApplicationName: "What waits", ClientID: own, Scopes: scopes,
		AuthRedirect: own + "/callback?state=" + state, KeyPair: pair,
	})
	if err != nil {
		return "", err
	}
	asked.Store(visitor+state, auth)
	time.AfterFunc(10*time.Minute, func() { asked.Delete(visitor + state) }) // as long as sites wait for an answer
	return auth.URL, auth.Check(r.Context(), outward)
}

func callback(_ http.ResponseWriter, r *http.Request, visitor string) (string, error) {
	auth, ok := asked.LoadAndDelete(visitor + r.FormValue("state"))
	if !ok {
		return "", userkeys.Errorf(userkeys.ConsentGone, "this browser has not asked for that, or too long ago; begin again")
	}
	c, err := auth.(*client.Authorization).Open(r.FormValue("payload"))
	if err != nil {
		return "", err
	}
	old, _ := stored(visitor, c.Site) // nil if there is none
	// The key is written beside its file and renamed, so that the file is never half a key.
	at, temp := place(visitor, c.Site), filepath.Join(data, "."+client.RandomID())
	err = errors.Join(os.MkdirAll(filepath.Dir(at), 0o700),
		os.WriteFile(temp, box.Seal(nil, nil, []byte(c.Key.Reveal()), []byte(at)), 0o600))
	if err == nil {
		err = os.Rename(temp, at)
	}
	// A key that is not stored is revoked, even if the visitor leaves now.
	if ctx := context.WithoutCancel(r.Context()); err != nil {
		err = errors.Join(err, os.Remove(temp), c.Revoke(ctx, outward))
	} else if old != nil && old.Key != c.Key {
		_ = old.Revoke(ctx, outward) // it may be of another account on that site; else the site has ended it already
	}
	return "/", err
}

func place(visitor, site string) string {
	return filepath.Join(data, visitor, hex.EncodeToString([]byte(site)))
}

// stored decrypts a visitor's key. The key is bound to its file: copied to another visitor or site it does not decrypt.
func stored(visitor, site string) (*client.Credential, error) {
	sealed, _ := os.ReadFile(place(visitor, site)) // without a file there is nothing to decrypt
	key, err := box.Open(nil, nil, sealed, []byte(place(visitor, site)))
	if err != nil {
		return nil, userkeys.Errorf(userkeys.NotFound, "there is no key that opens; connect again")
	}
	return &client.Credential{Site: site, Key: userkeys.Key(key), ClientID: own, Scopes: scopes}, nil
}

func disconnect(_ http.ResponseWriter, r *http.Request, visitor string) (string, error) {
	c, err := stored(visitor, r.PostFormValue("site"))
	if err == nil {
		err = c.Revoke(r.Context(), outward)
	}
	// Worthless means that the key had ended before. Otherwise it may still work and stays: a 403 may be a firewall's.
	if e := (&client.APIError{}); err != nil && !(errors.As(err, &e) && e.Worthless()) {
		return "", err
	}
	return "/", os.Remove(place(visitor, c.Site))
}

func home(w http.ResponseWriter, r *http.Request, visitor string) (string, error) {
	files, _ := filepath.Glob(filepath.Join(data, visitor, "*")) // none if no site is connected
	waits := map[string]string{}                                 // by site
	for _, file := range files {
		site, _ := hex.DecodeString(filepath.Base(file))
		var t client.Totals
		c, err := stored(visitor, string(site))
		if err == nil {
			t, err = c.Totals(r.Context(), outward)
			err = c.Diagnose(r.Context(), outward, err)
		}
		if waits[string(site)] = fmt.Sprintf("%d notifications, %d messages", t.Unread, t.Messages); err != nil {
			waits[string(site)] = client.Explain(err)
		}
	}
	return "", page.Execute(w, waits)
}
