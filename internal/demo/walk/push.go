package walk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"userkeys"
	"userkeys/client"
)

const (
	pushPath = "/push"
	pushWait = 5 * time.Second // how long the walk waits for a push
)

// An arrival is a push as it was received.
type arrival struct {
	at     time.Time
	header http.Header
	body   []byte
	push   client.Push
	err    error
}

// pushURL returns the push URL; empty if there is none.
func (k *walker) pushURL() string {
	if k.cfg.Push == nil {
		return ""
	}
	return (&url.URL{Scheme: "http", Host: k.cfg.Push.Addr().String(), Path: pushPath}).String()
}

// pushed is the step in which the site pushes a notification.
func (k *walker) pushed(ctx context.Context) error {
	if k.cfg.Push == nil {
		k.out.say("Left out: this walk has no place of its own to be pushed to.")
		return nil
	}
	if !k.cred.Push {
		return errors.New("the answer says that nothing is pushed")
	}
	k.out.say("The address had a push_url, and the page said that notifications go there. What the site signs them " +
		"with, it tells to the key's app only:")
	secret, err := k.cred.PushSecret(ctx, k.cfg.HTTP)
	if err != nil {
		return err
	}
	k.out.sent("GET " + userkeys.PushSecretPath)
	k.out.got("whsec_... sealed to the app's public key, as the key was")
	arrived := make(chan arrival, 1)
	receiver := &http.Server{ReadHeaderTimeout: pushWait, Handler: receive(secret, arrived)}
	go func() { _ = receiver.Serve(k.cfg.Push) }()
	defer receiver.Close()
	k.out.say("Now bob leaves a notice on The Noticeboard. The website tells userkeys, which keeps it for %s and "+
		"pushes it to the app:", k.cfg.Username)
	const form = "raw=The+choir+needs+two+more+altos."
	began := time.Now()
	req, err := newFormRequest(ctx, http.MethodPost, k.cfg.SiteURL+"/notices", form)
	if err != nil {
		return err
	}
	k.out.sent("POST /notices", form)
	page, err := k.browser.send(req)
	if err == nil {
		err = page.want(http.StatusSeeOther)
	}
	if err != nil {
		return err
	}
	select {
	case a := <-arrived:
		return k.wantPush(a, began)
	case <-time.After(pushWait):
		return errors.New("nothing was pushed")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// receive verifies pushes and passes the first one on.
func receive(secret userkeys.PushSecret, arrived chan<- arrival) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := arrival{at: time.Now(), header: r.Header}
		a.push, a.err = client.VerifyPush(r, secret)
		a.body = a.push.Body
		w.WriteHeader(client.PushStatus(a.err))
		select {
		case arrived <- a:
		default:
		}
	})
}

func (k *walker) wantPush(a arrival, began time.Time) error {
	if a.err != nil {
		return fmt.Errorf("what was pushed is not genuine: %w", a.err)
	}
	k.out.got("POST " + pushPath)
	for _, name := range []string{userkeys.PushIDHeader, userkeys.PushTimestampHeader, userkeys.PushSignatureHeader} {
		k.out.got(name + ": " + shorten(a.header.Get(name), 66))
	}
	var pretty bytes.Buffer
	if err := json.Compact(&pretty, a.body); err != nil {
		return err
	}
	k.out.got(shorten(pretty.String(), 500))
	if n := a.push.Notifications; len(n) != 1 || n[0].Username != "bob" || n[0].ClientID != k.cred.ClientID {
		return fmt.Errorf("this is not what was to come: %s", a.body)
	}
	k.out.say("It came %d ms after the notice, and its signature is right.", a.at.Sub(began).Milliseconds())
	return nil
}
