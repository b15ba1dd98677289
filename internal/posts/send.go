package posts

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/outward"
)

const (
	postPath      = "/posts.json"
	postTimeout   = 30 * time.Second // from dialling to the end of the answer
	dialTimeout   = 10 * time.Second
	usualLimit    = time.Minute // of a limit that does not say how long it lasts
	maxSlug       = 255         // characters
	maxErrorRunes = 500
)

// onceClient sends what it is given once. A connection of its own for each request: on one that was
// kept open nobody could tell a site that closed it from one that took the request. HTTP/1 only, for
// HTTP/2 sends again by itself what a site handed back.
func onceClient() *http.Client {
	one := &http.Protocols{}
	one.SetHTTP1(true)
	return &http.Client{Timeout: postTimeout, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: dialTimeout, DisableKeepAlives: true, Protocols: one,
	}}
}

// staying returns hc without redirects: 307 and 308 would send the post a second time.
func staying(hc *http.Client) *http.Client {
	c := *hc
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// An outcome is what a request to publish a post has led to.
type outcome struct {
	state   State
	why     string        // one line, unless sent
	address string        // of the post; empty if it waits for approval
	wait    time.Duration // how long the site wants to be left alone
	err     error         // the refusal
}

// send sends one request, once.
func send(ctx context.Context, base *http.Client, cred *client.Credential, p Post) outcome {
	w := &wire{}
	req, err := w.request(ctx, cred, p)
	if err != nil {
		return outcome{state: Failed, why: publicLine(err), err: err}
	}
	var answer published
	err = client.Do(cred.Client(staying(base)), req, &answer)
	var api *client.APIError
	switch {
	case err == nil:
		return answer.outcome(cred.Site)
	case errors.As(err, &api):
		return refusal(api)
	case w.untouched():
		return outcome{state: Waiting, why: publicLine(err) + "; nothing was sent", err: err}
	}
	return outcome{state: Unknown, why: publicLine(err), err: err}
}

// wire records whether a request can have been sent. It wants proof that none was: a
// transport that reports nothing proves nothing.
type wire struct{ sought, had atomic.Bool }

func (w *wire) untouched() bool { return w.sought.Load() && !w.had.Load() }

func (w *wire) request(ctx context.Context, cred *client.Credential, p Post) (*http.Request, error) {
	address, err := cred.URL(postPath)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(struct {
		Title    string `json:"title,omitempty"`
		Raw      string `json:"raw"`
		TopicID  int    `json:"topic_id,omitempty"`
		Category int    `json:"category,omitempty"`
	}{p.Title, p.Raw, p.TopicID, p.Category})
	if err != nil {
		return nil, err
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { w.sought.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.had.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.GetBody = nil // without it no layer below can send the body again
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

// published is a site's response to a post: where it is, or, with an action, that a
// moderator must let it through.
type published struct {
	Action     string `json:"action"`
	TopicID    int    `json:"topic_id"`
	TopicSlug  string `json:"topic_slug"`
	PostNumber int    `json:"post_number"`
}

func (a published) outcome(site string) outcome {
	switch {
	case a.TopicID > 0 && a.PostNumber > 0:
		slug := ""
		if a.TopicSlug != "" && userkeys.IsText(a.TopicSlug) && len(a.TopicSlug) <= maxSlug {
			slug = url.PathEscape(a.TopicSlug) + "/"
		}
		return outcome{state: Sent, address: fmt.Sprintf("%s/t/%s%d/%d", site, slug, a.TopicID, a.PostNumber)}
	case a.Action == "enqueued":
		return outcome{state: Sent}
	}
	return outcome{state: Unknown, why: "the site answered with a success, but names no post"}
}

// refusal is the outcome of a response that is not a success.
func refusal(e *client.APIError) outcome {
	o := outcome{state: Unknown, why: e.Error(), err: e}
	switch {
	case e.Status == http.StatusTooManyRequests:
		o.state, o.wait = Waiting, cmp.Or(e.RetryAfter, usualLimit)
	case e.Status == http.StatusRequestTimeout: // a proxy says so too when the site behind it is slow
	case e.Status >= 400 && e.Status <= 499:
		o.state = Failed
	case e.Status >= 300 && e.Status <= 399:
		o.why += ": it points elsewhere; is its address right?"
	}
	return o
}

// help says what a person can do about a refusal of the key.
func help(cred *client.Credential, err error) string {
	var e *client.APIError
	if !errors.As(err, &e) || e.Status != http.StatusForbidden {
		return ""
	}
	if e.KeyIsDead() {
		return "; the key was revoked or has expired: userkeys login " + cred.Site
	}
	if scope := e.MissingScope(); scope != "" {
		return fmt.Sprintf("; the key lacks %s: userkeys login %s --scopes %s", scope, cred.Site,
			append(cred.Scopes[:len(cred.Scopes):len(cred.Scopes)], scope))
	}
	return "; the key is good, so " + cmp.Or(userkeys.Printable(cred.Username), "its user") +
		" may not post there, or the site does not say"
}

// publicLine returns err as one line for the person, with the innermost cause of a network error.
func publicLine(err error) string {
	var e *userkeys.Error
	if !errors.As(err, &e) {
		if errors.Is(err, context.DeadlineExceeded) {
			return "no answer in time"
		}
		return line(err.Error())
	}
	if e.Err == nil || e.Code != userkeys.Unavailable {
		return line(e.Public)
	}
	var late net.Error
	if errors.As(e.Err, &late) && late.Timeout() {
		return line(e.Public + ": no answer in time")
	}
	return line(e.Public + ": " + outward.Innermost(e.Err))
}

// line is foreign text as one bounded line.
func line(s string) string {
	runes := []rune(userkeys.Printable(strings.Join(strings.Fields(s), " ")))
	return string(runes[:min(len(runes), maxErrorRunes)])
}
