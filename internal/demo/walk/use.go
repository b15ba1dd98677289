package walk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/demo"
)

// showCall prints a call and its answer.
func (k *walker) showCall(cred *client.Credential, a *answer, form string) {
	k.out.sent(a.Request.Method+" "+a.Request.URL.RequestURI(),
		userkeys.KeyHeader+": "+demo.MaskKey(cred.Key), userkeys.ClientIDHeader+": "+cred.ClientID)
	if form != "" {
		k.out.sent(form)
	}
	k.showAnswer(a)
}

func (k *walker) showAnswer(a *answer) {
	k.out.got(a.Proto + " " + a.Status)
	for _, name := range []string{"Retry-After", limitHeader} {
		if v := a.Header.Get(name); v != "" {
			k.out.got(name + ": " + v)
		}
	}
	k.out.got(shorten(string(a.body), 400))
}

const limitHeader = "Discourse-Rate-Limit-Error-Code"

func (k *walker) firstCall(ctx context.Context) error {
	k.out.say("From now on the browser is not needed. The app calls the site's API with two headers. What is new is " +
		"answered by userkeys; the website behind it is told who calls.")
	a, err := k.call(ctx, k.cred, "GET "+client.TotalsPath, "")
	if err != nil {
		return err
	}
	k.showCall(k.cred, a, "")
	return k.wantTotals(a)
}

func (k *walker) wantTotals(a *answer) error {
	if err := a.want(http.StatusOK); err != nil {
		return err
	}
	var totals struct {
		Username string `json:"username"`
		Unread   *int   `json:"unread_notifications"`
	}
	if err := json.Unmarshal(a.body, &totals); err != nil || totals.Unread == nil ||
		!strings.EqualFold(totals.Username, k.cfg.Username) {
		return fmt.Errorf("this is not what %s has to read: %s", k.cfg.Username, shorten(string(a.body), 300))
	}
	return nil
}

func (k *walker) refusedWrite(ctx context.Context) error {
	k.out.say("The key may read notifications. Nobody allowed it to post, so it cannot, whatever the app tries. The " +
		"refusal says what is missing.")
	const form = "raw=Bought+from+me%3A+umbrellas"
	a, err := k.call(ctx, k.cred, "POST /posts.json", form)
	if err != nil {
		return err
	}
	k.showCall(k.cred, a, form)
	return wantForbidden(a)
}

func wantForbidden(a *answer) error {
	if err := a.want(http.StatusForbidden); err != nil {
		return err
	}
	return a.wantType(userkeys.InvalidAccess)
}

// tooManyCalls uses a second key, because the first one has calls to make afterwards, and to show that keys have
// limits of their own.
func (k *walker) tooManyCalls(ctx context.Context) error {
	k.out.say("Each key may call %d times a minute. A second app, %q, gets a key in the same way (the person is signed "+
		"in already), "+
		"and uses it up. It has a key of its own so that the first one stays free for the next steps.", k.cfg.PerMinute,
		sprinterName)
	cred, err := k.secondKey(ctx)
	if err != nil {
		return err
	}
	k.sprinter = cred
	for i := range k.cfg.PerMinute {
		a, err := k.call(ctx, cred, "GET "+client.TotalsPath, "")
		if err == nil {
			err = k.wantTotals(a)
		}
		if err != nil {
			return fmt.Errorf("call %d of %d that are allowed: %v", i+1, k.cfg.PerMinute, err)
		}
	}
	k.out.got(fmt.Sprintf("%d times: 200 OK", k.cfg.PerMinute))
	a, err := k.call(ctx, cred, "GET "+client.TotalsPath, "")
	if err != nil {
		return err
	}
	k.showCall(cred, a, "")
	if err := wantLimited(a); err != nil {
		return err
	}
	k.out.say("A retry after that many seconds succeeds. The first key is not affected:")
	if a, err = k.call(ctx, k.cred, "GET /session/current.json", ""); err != nil {
		return err
	}
	k.showCall(k.cred, a, "")
	return a.want(http.StatusOK)
}

func wantLimited(a *answer) error {
	if err := a.want(http.StatusTooManyRequests); err != nil {
		return err
	}
	if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || n < 1 || n > 60 {
		return fmt.Errorf("Retry-After is %q, not 1 to 60 seconds", a.Header.Get("Retry-After"))
	}
	if got := a.Header.Get(limitHeader); got != "user_api_key_limiter_60_secs" {
		return fmt.Errorf("%s is %q", limitHeader, got)
	}
	return a.wantType(userkeys.RateLimited)
}

// secondKey repeats steps 2 to 7 without printing them.
func (k *walker) secondKey(ctx context.Context) (*client.Credential, error) {
	auth, loopback, err := k.begin(ctx, sprinterName)
	if err != nil {
		return nil, err
	}
	defer loopback.Close()
	page, err := k.browser.get(ctx, auth.URL)
	if err != nil {
		return nil, err
	}
	form, err := page.form(k.browser.site.Path + grantPath)
	if err != nil {
		return nil, err
	}
	_, to, err := k.submitApproval(ctx, auth, form)
	if err != nil {
		return nil, err
	}
	payload, err := k.deliver(ctx, to, loopback)
	if err != nil {
		return nil, err
	}
	return auth.Open(payload)
}

const appsPath = "/my/apps"

// usesWritten is how long it may take until a use shows: uses are written in batches, at most a second apart.
const usesWritten = 3 * time.Second

func (k *walker) readApps(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, usesWritten)
	defer cancel()
	lines, err := k.appLines(ctx)
	for ; err == nil && strings.Contains(strings.Join(lines, " "), "not used yet"); lines, err = k.appLines(ctx) {
		select {
		case <-time.After(usesWritten / 20):
		case <-ctx.Done():
			return errors.New("the list does not show that the key was used")
		}
	}
	if err != nil {
		return err
	}
	k.out.say("At %s the person sees every app, what it may do and when it was last used, and can revoke it:",
		k.cfg.SiteURL+appsPath)
	k.out.got(lines...)
	says := strings.Join(lines, " ")
	for _, sentence := range demo.Sentences(scopes) {
		if !strings.Contains(says, sentence) {
			return fmt.Errorf("the list does not say %q", sentence)
		}
	}
	return nil
}

// appLines returns what the page of apps says about the walker's key.
func (k *walker) appLines(ctx context.Context) ([]string, error) {
	page, err := k.browser.get(ctx, k.cfg.SiteURL+appsPath)
	if err != nil {
		return nil, err
	}
	if err := page.want(http.StatusOK); err != nil {
		return nil, err
	}
	k.page = page
	item := page.item(walkerName)
	if item == nil {
		return nil, fmt.Errorf("the page does not list %s; it says: %s", walkerName, shorten(page.text(), 400))
	}
	return textLines(item), nil
}

const revokePath = "/user-api-key/revoke"

func (k *walker) revoke(ctx context.Context) error {
	k.out.say("An app that is done throws its key away. Every key may do that, whatever its scopes:")
	a, err := k.call(ctx, k.cred, "POST "+revokePath, "")
	if err != nil {
		return err
	}
	k.showCall(k.cred, a, "")
	return a.want(http.StatusOK)
}

func (k *walker) refusedAfterwards(ctx context.Context) error {
	k.out.say("The very next call is refused, in words that do not tell a stranger whether the key ever existed:")
	if err := k.wantDead(ctx, k.cred); err != nil {
		return err
	}
	k.out.say("The second app is revoked by the person, with the button on the page of step 12. It was over its limit, " +
		"but now it learns that its key is gone, and need not try again:")
	item := k.page.item(sprinterName)
	if item == nil {
		return fmt.Errorf("the page of apps does not list %s", sprinterName)
	}
	form, err := k.page.formIn(item, k.browser.site.Path+revokePath)
	if err != nil {
		return err
	}
	page, err := k.browser.submit(ctx, form, url.Values{})
	if err != nil {
		return err
	}
	if _, err := page.wantRedirect(); err != nil {
		return err
	}
	if err := k.wantDead(ctx, k.sprinter); err != nil {
		return err
	}
	return k.lookAtNotifier(ctx)
}

// wantDead checks that a key is refused like an unknown one.
func (k *walker) wantDead(ctx context.Context, cred *client.Credential) error {
	a, err := k.call(ctx, cred, "GET "+client.TotalsPath, "")
	if err != nil {
		return err
	}
	k.showCall(cred, a, "")
	if err := wantForbidden(a); err != nil {
		return err
	}
	if r := a.refusal(); r.Reason != userkeys.ErrInvalidKey.Reason {
		return fmt.Errorf("the reason is %q, not %q", r.Reason, userkeys.ErrInvalidKey.Reason)
	}
	return nil
}

func (k *walker) lookAtNotifier(ctx context.Context) error {
	if k.cfg.NotifierURL == "" {
		return nil
	}
	page, err := k.browser.get(ctx, k.cfg.NotifierURL)
	if err != nil {
		return err
	}
	if err := page.want(http.StatusOK); err != nil {
		return err
	}
	if _, err := page.form("/connect"); err != nil {
		return err
	}
	k.out.say("The same in a browser, with an app that has pages: %s", k.cfg.NotifierURL)
	return nil
}
