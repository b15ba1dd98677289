package walk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/demo"
)

func (k *walker) makeKeyPair(context.Context) error {
	pair, err := client.NewKeyPair(k.cfg.KeyBits)
	if err != nil {
		return err
	}
	k.pair = pair
	k.out.say("Nobody has registered this app, and it has no password for the site. It makes an RSA key pair of %d bits "+
		"for this one request. The site will encrypt the key to the public half; only the holder of the private half can "+
		"open it.", pair.Bits())
	return nil
}

// explanations say what each parameter of the address is for.
var explanations = []struct{ name, why string }{
	{"application_name", "what the app calls itself; the page shows it as a claim"},
	{"client_id", "this installation; a later key for the same one replaces this key"},
	{"scopes", "what the app wants to do, as little as it needs"},
	{"public_key", "what the site encrypts the key to"},
	{"nonce", "comes back beside the key, and proves that the key belongs to this request"},
	{"auth_redirect", "where the site redirects the browser to: an address of this machine that exists only now"},
	{"push_url", "where the app wants notifications to be sent"},
	{"padding", "how the key is encrypted: OAEP, the safer of the two"},
}

func (k *walker) makeAddress(ctx context.Context) error {
	auth, loopback, err := k.begin(ctx, walkerName)
	if err != nil {
		return err
	}
	k.auth, k.loopback = auth, loopback
	u, err := url.Parse(auth.URL)
	if err != nil {
		return err
	}
	q := u.Query()
	k.out.say("The app opens the person's browser on this address. It travels in the open and holds no secret.")
	k.out.sent("GET " + u.Scheme + "://" + u.Host + u.Path + "?")
	for _, e := range explanations {
		if e.name == "push_url" && k.cfg.Push == nil {
			continue
		}
		if !q.Has(e.name) {
			return fmt.Errorf("the address lacks %s", e.name)
		}
		k.out.sent(e.name + "=" + shorten(q.Get(e.name), 66))
		k.out.note(e.why)
	}
	return nil
}

// begin starts a request with a loopback redirect of its own.
func (k *walker) begin(ctx context.Context, name string) (*client.Authorization, *client.Loopback, error) {
	l, err := client.ListenLoopback(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	push := ""
	if name == walkerName {
		push = k.pushURL()
	}
	auth, err := client.Begin(client.Request{
		Site: k.cfg.SiteURL, ApplicationName: name, ClientID: "demo-" + strings.ToLower(name), Scopes: scopes,
		AuthRedirect: l.RedirectURL(), PushURL: push, KeyPair: k.pair,
	})
	if err != nil {
		_ = l.Close()
		return nil, nil, err
	}
	return auth, l, nil
}

// maxRedirects is how many redirects a sign-in may take, like a browser's own limit.
const maxRedirects = 20

var errRedirects = errors.New("the site redirects without end")

func (k *walker) arriveAsStranger(ctx context.Context) error {
	page, err := k.browser.get(ctx, k.auth.URL)
	if err != nil {
		return err
	}
	to, err := page.wantRedirect()
	if err != nil {
		return err
	}
	k.out.say("The site checks the request first: a bad one is refused before anybody signs in. Then it needs to know " +
		"who answers. The website has users of its own, so userkeys asks it, signed, and the website asks the person. " +
		"The whole request is kept on the way, and resumes after the sign-in.")
	k.out.got(page.Proto+" "+page.Status, "Location: "+shorten(to.RequestURI(), 120))
	for n := 0; page.StatusCode != http.StatusOK; n++ {
		if n == maxRedirects {
			return errRedirects
		}
		if to, err = page.wantRedirect(); err != nil {
			return err
		}
		if to.Host != k.browser.site.Host {
			return fmt.Errorf("the redirect leads to %s", to.Host)
		}
		if page, err = k.browser.get(ctx, to.String()); err != nil {
			return err
		}
	}
	k.page = page
	return nil
}

func (k *walker) signIn(ctx context.Context) error {
	at := k.page.Request.URL.Path
	form, err := k.page.form(at)
	if err != nil {
		return err
	}
	if !form.has("username") || !form.has("password") {
		return errors.New("the page has no fields username and password")
	}
	k.out.say("The password goes from the browser to the website, which signs who this is. userkeys and the app never " +
		"ask for it.")
	k.out.sent("POST "+at, "username="+k.cfg.Username+"&password=*****")
	page, err := k.browser.submit(ctx, form, url.Values{"username": {k.cfg.Username}, "password": {k.cfg.Password}})
	if err != nil {
		return err
	}
	request := strings.TrimPrefix(k.auth.URL, k.browser.site.Scheme+"://"+k.browser.site.Host)
	sessions := 0
	for range maxRedirects {
		to, err := page.wantRedirect()
		if err != nil {
			return err
		}
		lines := []string{page.Proto + " " + page.Status}
		for _, c := range page.Cookies() {
			if c.MaxAge < 0 {
				continue
			}
			if !c.HttpOnly {
				return errors.New("the sign-in set a cookie that scripts can read")
			}
			sessions++
			c.Value = shorten(c.Value, 4)
			lines = append(lines, "Set-Cookie: "+c.String())
		}
		k.out.got(append(lines, "Location: "+shorten(to.RequestURI(), 120))...)
		if k.page, err = k.browser.get(ctx, to.String()); err != nil {
			return err
		}
		if page = k.page; page.StatusCode == http.StatusOK {
			if to.RequestURI() != request || sessions == 0 {
				return fmt.Errorf("the sign-in does not lead back to the request as it was: %s", to)
			}
			return nil
		}
	}
	return errRedirects
}

func (k *walker) readConsent(context.Context) error {
	if err := k.page.want(http.StatusOK); err != nil {
		return err
	}
	k.out.say("Now the person decides. This is the page, without its small print:")
	k.out.got(k.page.lines()...)
	redirect, err := url.Parse(k.auth.Request.AuthRedirect)
	if err != nil {
		return err
	}
	facts := append(demo.Sentences(scopes), k.cfg.Username, walkerName,
		redirect.Host)
	says := k.page.text()
	for _, fact := range facts {
		if !strings.Contains(says, fact) {
			return fmt.Errorf("the page does not say %q; it says: %s", fact, shorten(says, 600))
		}
	}
	return nil
}

const grantPath = "/user-api-key"

func (k *walker) approve(ctx context.Context) error {
	form, err := k.page.form(k.browser.site.Path + grantPath)
	if err != nil {
		return err
	}
	k.out.say("The form carries no copy of the request, only the number of the question that the site has put to this " +
		"person. " +
		"Only they can answer it, once, in this session, within ten minutes.")
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(form.hidden)) {
		fields = append(fields, name+"="+shorten(form.hidden.Get(name), 8))
	}
	k.out.sent("POST "+form.action.Path, strings.Join(fields, "&"))
	page, to, err := k.submitApproval(ctx, k.auth, form)
	if err != nil {
		return err
	}
	k.payload = to.Query().Get("payload")
	k.out.say("The site makes a key, keeps only its hash, seals the key to the app's public key, and sends the browser " +
		"back:")
	k.out.got(page.Proto+" "+page.Status, "Location: "+k.auth.Request.AuthRedirect+"?payload="+
		shorten(url.QueryEscape(k.payload), 60))
	k.payload, err = k.deliver(ctx, to, k.loopback)
	return err
}

// submitApproval submits the approval and checks that the site redirects to the auth_redirect of the request.
func (k *walker) submitApproval(ctx context.Context, auth *client.Authorization, form *webForm) (*webPage, *url.URL,
	error,
) {
	page, err := k.browser.submit(ctx, form, nil)
	if err != nil {
		return nil, nil, err
	}
	to, err := page.wantRedirect()
	if err != nil {
		return nil, nil, err
	}
	if !strings.HasPrefix(page.Header.Get("Location"), auth.Request.AuthRedirect+"?payload=") {
		return nil, nil, fmt.Errorf("the payload goes to %s, not to %s", shorten(to.String(), 120), auth.Request.AuthRedirect)
	}
	return page, to, nil
}

// deliver follows the redirect as the browser does, and returns the payload that the app receives.
func (k *walker) deliver(ctx context.Context, to *url.URL, l *client.Loopback) (string, error) {
	page, err := k.browser.get(ctx, to.String())
	if err != nil {
		return "", err
	}
	if err := page.want(http.StatusOK); err != nil {
		return "", err
	}
	return l.Wait(ctx)
}

func (k *walker) openPayload(context.Context) error {
	cred, err := k.auth.Open(k.payload)
	if err != nil {
		return err
	}
	k.cred = cred
	masked := userkeys.Payload{
		Key: userkeys.Key(demo.MaskKey(cred.Key)), Nonce: k.auth.Nonce, Push: cred.Push, API: cred.API,
		ExpiresAt: cred.ExpiresAt,
	}
	k.out.say("The browser brought %d characters that mean nothing to it or to anybody on the way. The private key "+
		"opens them:", len(k.payload))
	k.out.got(string(masked.JSON()))
	k.out.say("The nonce is the one of step 2, so this key belongs to our request and not to somebody else's. " +
		"The key is shown in part: whoever has it can use it. The app keeps the private key for what the site may seal to " +
		"it later.")
	return nil
}
