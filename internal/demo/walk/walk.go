// Package walk goes through the protocol of userkeys step by step: it asks a running site for a key, as app and as
// browser, uses the key, revokes it, and prints what is sent and received. It is what `userkeys demo --walk` shows.
package walk

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
)

// Config says where to walk and as whom.
type Config struct {
	SiteURL     string // a userkeys site with The Noticeboard behind it
	NotifierURL string // the sample app; empty: it is not visited
	Username    string
	Password    string
	Push        net.Listener // listens on the push URL, which the site allows; nil: that step is left out
	PerMinute   int          // how many calls a minute the site allows a key; 0: 20
	HTTP        *http.Client // nil: a client of its own
	KeyBits     int          // of the app's key pair; 0: the usual size
	Colour      bool         // the output is a terminal
}

// scopes are few, so that a refusal can be shown.
var scopes = userkeys.Scopes{"notifications", "session_info"}

const (
	walkerName   = "Walker"
	sprinterName = "Sprinter"
)

// Run asks for a key, uses it and revokes it, as app and as browser, and prints on w what is sent and received at
// each step. Each step checks what it receives; Run returns an error at the first step that receives something else.
func Run(ctx context.Context, w io.Writer, cfg Config) error {
	if cfg.PerMinute == 0 {
		cfg.PerMinute = client.Support{}.Limits().PerMinute
	}
	site, err := client.ParseSite(cfg.SiteURL)
	if err != nil {
		return err
	}
	cfg.SiteURL = site
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 30 * time.Second} // one that does not wait for limits: the walk shows them
	}
	b, err := newBrowser(site, cfg.HTTP)
	if err != nil {
		return err
	}
	k := &walker{cfg: cfg, out: &printer{w: w, colour: cfg.Colour}, browser: b}
	defer k.close()
	k.out.heading("The way of a key, step by step")
	k.out.say("An app is about to ask %s for a key to the account %q. Lines with > are sent, lines with < come back.",
		site, cfg.Username)
	for i, s := range k.steps() {
		if err := ctx.Err(); err != nil {
			return err
		}
		k.out.step(i+1, s.title)
		if err := s.run(ctx); err != nil {
			// The chain ends here: whoever prints it must show the step, not only the cause's public text.
			return fmt.Errorf("step %d (%s): %v", i+1, s.title, err)
		}
	}
	k.out.heading("Done: every step saw what it expected")
	return k.out.err
}

type step struct {
	title string
	run   func(ctx context.Context) error
}

func (k *walker) steps() []step {
	return []step{
		{"The app makes a key pair", k.makeKeyPair},
		{"The address to which it sends the browser", k.makeAddress},
		{"A stranger is sent to sign in", k.arriveAsStranger},
		{"The person signs in", k.signIn},
		{"The page that asks", k.readConsent},
		{"The person approves", k.approve},
		{"The app opens the payload", k.openPayload},
		{"The first call with the key", k.firstCall},
		{"A write that the person did not allow", k.refusedWrite},
		{fmt.Sprintf("Call number %d within a minute", k.cfg.PerMinute+1), k.tooManyCalls},
		{"What is new is pushed", k.pushed},
		{"The person's own list of apps", k.readApps},
		{"The key revokes itself", k.revoke},
		{"Refused afterwards", k.refusedAfterwards},
	}
}

// A walker is app and browser in one, with what they have learned so far.
type walker struct {
	cfg     Config
	out     *printer
	browser *browser

	pair     *client.KeyPair
	loopback *client.Loopback
	auth     *client.Authorization
	page     *webPage // what the browser shows
	payload  string
	cred     *client.Credential
	sprinter *client.Credential // the second key, for the limit
}

func (k *walker) close() {
	if k.loopback != nil {
		_ = k.loopback.Close() // nothing waits there any more
	}
}

// call calls the site's API with a key, such as "GET /posts.json", and returns the answer, whatever its status.
func (k *walker) call(ctx context.Context, cred *client.Credential, route, form string) (*answer, error) {
	method, path, _ := strings.Cut(route, " ")
	address, err := cred.URL(path)
	if err != nil {
		return nil, err
	}
	req, err := newFormRequest(ctx, method, address, form)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := cred.Client(k.cfg.HTTP).Do(req)
	if err != nil {
		return nil, err
	}
	return readAnswer(resp)
}
