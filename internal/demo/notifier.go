package demo

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"userkeys"
	"userkeys/client"
)

// NotifierConfig says where the sample app and its site are.
type NotifierConfig struct {
	SiteURL string       // the site that the app asks for keys
	URL     string       // the app's own address: http://127.0.0.1:PORT
	HTTP    *http.Client // for requests to the site; nil: a client that does not wait for rate limits
	KeyBits int          // of its key pairs; 0: the usual size
}

// notifierScopes are as few as the app needs.
var notifierScopes = userkeys.Scopes{"notifications", "session_info"}

const (
	notifierName   = "Notifier"
	notifierCookie = "notifier_visit"
	maxVisits      = 200
	visitLife      = 12 * time.Hour
)

// NewNotifier returns the sample app: a website of its own that asks its visitors for a key to another site and
// shows what is new there. Everything that an app has to do is in this file. NewNotifier panics if an address in
// cfg is not valid.
func NewNotifier(cfg NotifierConfig) http.Handler {
	site, own := mustSite(cfg.SiteURL), mustSite(cfg.URL)
	cfg.SiteURL, cfg.URL = site.String(), own.String()
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 30 * time.Second} // a visitor should not wait for a limit: the page says it
	}
	n := &notifier{
		cfg: cfg, host: own.Host, siteOrigin: site.Scheme + "://" + site.Host, clientID: "notifier-" + client.RandomID(),
		visits: map[string]*visit{}, seen: client.NewReplayGuard(),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", n.home)
	mux.HandleFunc("GET /demo.css", serveStyle)
	mux.HandleFunc("GET /pushed", n.pushed)
	mux.HandleFunc("POST /push", n.push)
	mux.HandleFunc("POST /connect", n.connect)
	mux.HandleFunc("GET /callback", n.callback)
	mux.HandleFunc("POST /mark-read", n.withKey(n.markRead))
	mux.HandleFunc("POST /try", n.withKey(n.tryToPost))
	mux.HandleFunc("POST /disconnect", n.withKey(n.disconnect))
	// Forms of other sites must not act for the visitors of this one.
	return n.onlyOwnHost(http.NewCrossOriginProtection().Handler(mux))
}

// mustSite parses an address that the program that runs the demo has made.
func mustSite(address string) *url.URL {
	site, err := client.ParseSite(address)
	if err != nil {
		panic(err)
	}
	u, err := url.Parse(site)
	if err != nil {
		panic(err)
	}
	return u
}

type notifier struct {
	cfg        NotifierConfig
	host       string // of its own address
	siteOrigin string
	clientID   string // one for the installation; keys are per user and client id

	mu     sync.Mutex
	visits map[string]*visit // by the cookie's value
	seen   *client.ReplayGuard
	order  []string // oldest first
}

// A visit is what the app knows about one browser. It is replaced and never changed, so that it can be read
// without a lock.
type visit struct {
	pending *client.Authorization // a request that is not approved yet: key pair and nonce
	cred    *client.Credential    // the key; nil before the user has approved
	tried   *client.APIError      // the site's refusal of the write
	secret  userkeys.PushSecret   // of the key's pushes; zero: the site does not push
	news    *pushedNews           // the last push
	notice  string
}

// onlyOwnHost refuses requests under other host names, which somebody else may have pointed at this address.
func (n *notifier) onlyOwnHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != n.host {
			http.Error(w, "open "+n.cfg.URL, http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (n *notifier) visit(r *http.Request) (string, *visit) {
	c, err := r.Cookie(notifierCookie)
	if err != nil {
		return "", nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return c.Value, n.visits[c.Value]
}

// remember replaces a visit; nil forgets it. If there are too many the oldest is forgotten.
func (n *notifier) remember(id string, v *visit) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if v == nil {
		delete(n.visits, id)
		n.order = slices.DeleteFunc(n.order, func(o string) bool { return o == id })
		return
	}
	if _, ok := n.visits[id]; !ok {
		n.order = append(n.order, id)
		if len(n.order) > maxVisits {
			delete(n.visits, n.order[0])
			n.order = n.order[1:]
		}
	}
	n.visits[id] = v
}

// connect begins a request: the key pair and the nonce stay here, the browser goes to the site.
func (n *notifier) connect(w http.ResponseWriter, r *http.Request) {
	pair, err := client.NewKeyPair(n.cfg.KeyBits)
	if err != nil {
		n.problem(w, http.StatusInternalServerError, err)
		return
	}
	auth, err := client.Begin(client.Request{
		Site: n.cfg.SiteURL, ApplicationName: notifierName, ClientID: n.clientID, Scopes: notifierScopes,
		AuthRedirect: n.cfg.URL + "/callback", PushURL: n.cfg.URL + pushPath, KeyPair: pair,
	})
	if err != nil {
		n.problem(w, http.StatusInternalServerError, err)
		return
	}
	old, _ := n.visit(r)
	n.remember(old, nil)
	id := client.RandomID() // always a new one, so that nobody can set a cookie for somebody else and share the key
	n.remember(id, &visit{pending: auth})
	http.SetCookie(w, &http.Cookie{
		Name: notifierCookie, Value: id, Path: "/", MaxAge: int(visitLife / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, auth.URL, http.StatusSeeOther)
}

// callback is where the site sends the browser back with the payload.
func (n *notifier) callback(w http.ResponseWriter, r *http.Request) {
	id, v := n.visit(r)
	if v == nil || v.pending == nil {
		n.problem(w, http.StatusBadRequest, userkeys.Errorf(userkeys.ConsentGone,
			"this browser has asked for nothing; begin on the first page"))
		return
	}
	cred, err := v.pending.Open(r.URL.Query().Get("payload"))
	if err != nil {
		n.problem(w, http.StatusBadRequest, err)
		return
	}
	if name, err := cred.CurrentUsername(r.Context(), n.cfg.HTTP); err == nil {
		cred.Username = name
	}
	connected := &visit{cred: cred}
	if cred.Push { // the site will push; its secret is told to the key only
		if connected.secret, err = cred.PushSecret(r.Context(), n.cfg.HTTP); err != nil {
			connected.notice = "No pushes: " + userkeys.AsError(err).Public
		}
	}
	n.remember(id, connected)
	http.Redirect(w, r, "/", http.StatusSeeOther) // so that the payload is not in the address bar
}

// withKey returns a handler that calls h for visits that have a key, and remembers the visit that h returns.
func (n *notifier) withKey(h func(ctx context.Context, v visit) *visit) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if id, v := n.visit(r); v != nil && v.cred != nil {
			n.remember(id, h(r.Context(), *v))
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

// markRead marks all notifications as read, a write that the scope notifications allows.
func (n *notifier) markRead(ctx context.Context, v visit) *visit {
	if err := v.cred.MarkRead(ctx, n.cfg.HTTP, 0); err != nil {
		return n.refused(v, err)
	}
	v.notice = "All notifications are marked as read."
	return &v
}

// tryToPost tries to post a notice, a write that none of the app's scopes allows.
func (n *notifier) tryToPost(ctx context.Context, v visit) *visit {
	var api *client.APIError
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.cfg.SiteURL+"/posts.json", nil)
	if err == nil {
		err = client.Do(v.cred.Client(n.cfg.HTTP), req, nil)
	}
	if errors.As(err, &api) && api.Status == http.StatusForbidden && api.Reason != "invalid key" {
		v.tried = api
		return &v
	}
	return n.refused(v, err)
}

func (n *notifier) disconnect(ctx context.Context, v visit) *visit {
	if err := v.cred.Revoke(ctx, n.cfg.HTTP); err != nil {
		return n.refused(v, err)
	}
	return &visit{notice: "The key has revoked itself. It is of no use to anybody now."}
}

// refused notes why a call failed. It forgets the key only if the site says that it is not valid: an app must not
// throw keys away because a site is slow or busy.
func (n *notifier) refused(v visit, err error) *visit {
	var api *client.APIError
	switch {
	case err == nil:
		v.notice = "The site allowed it."
	case errors.As(err, &api) && api.Reason == "invalid key":
		return &visit{notice: "The site no longer takes the key: it was revoked or has expired. Connect again to get a " +
			"new one."}
	case errors.As(err, &api):
		v.notice = api.Error()
	default:
		v.notice = userkeys.AsError(err).Public
	}
	return &v
}
