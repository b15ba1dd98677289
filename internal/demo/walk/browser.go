package walk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"userkeys"
	"userkeys/client"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 1 << 20

// A browser keeps cookies and follows no redirects by itself, so that each can be shown.
type browser struct {
	site   *url.URL
	client *http.Client
}

// An answer is an HTTP answer whose body was read.
type answer struct {
	*http.Response
	body []byte
}

func newBrowser(site string, base *http.Client) (*browser, error) {
	u, err := url.Parse(site)
	if err != nil {
		return nil, err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	hc := &http.Client{Timeout: 30 * time.Second}
	if base != nil {
		*hc = *base
	}
	hc.Jar = jar
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{u, hc}, nil
}

// get requests a page.
func (b *browser) get(ctx context.Context, address string) (*webPage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return b.send(req)
}

// submit sends a form with its hidden fields and the fields that the user fills in.
func (b *browser) submit(ctx context.Context, f *webForm, filled url.Values) (*webPage, error) {
	fields := url.Values{}
	for name, values := range f.hidden {
		fields[name] = values
	}
	for name, values := range filled {
		fields[name] = values
	}
	req, err := newFormRequest(ctx, http.MethodPost, f.action.String(), fields.Encode())
	if err != nil {
		return nil, err
	}
	req.Header.Set("Origin", b.site.Scheme+"://"+b.site.Host)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(req)
}

func (b *browser) send(req *http.Request) (*webPage, error) {
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, err
	}
	a, err := readAnswer(resp)
	if err != nil {
		return nil, err
	}
	return newWebPage(a)
}

func newFormRequest(ctx context.Context, method, address, form string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form))
	if err == nil && form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, err
}

func readAnswer(resp *http.Response) (*answer, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("%s answers with more than %d bytes", resp.Request.URL.Path, maxAnswer)
	}
	return &answer{resp, body}, nil
}

// want checks the status.
func (a *answer) want(status int) error {
	if a.StatusCode != status {
		return fmt.Errorf("%s %s answered %d, not %d: %s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status,
			shorten(string(a.body), 300))
	}
	return nil
}

// wantRedirect checks for a redirect and returns its target.
func (a *answer) wantRedirect() (*url.URL, error) {
	if a.StatusCode != http.StatusFound && a.StatusCode != http.StatusSeeOther {
		return nil, fmt.Errorf("%s %s answered %d, not a redirect: %s", a.Request.Method, a.Request.URL.Path, a.StatusCode,
			shorten(string(a.body), 300))
	}
	u, err := a.Location()
	if err != nil {
		return nil, errors.New("the redirect leads nowhere")
	}
	return u, nil
}

// refusal returns a refused call as an error.
func (a *answer) refusal() *client.APIError {
	return client.ParseError(a.StatusCode, a.Header, a.body)
}

// wantType checks the type of a refusal, and that it has a text.
func (a *answer) wantType(code userkeys.Code) error {
	if r := a.refusal(); r.Type != code.Type() || len(r.Messages) == 0 {
		return fmt.Errorf("the refusal is of type %q: %s", r.Type, shorten(string(a.body), 300))
	}
	return nil
}
