package watch_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/client"
	"userkeys/internal/keystore"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/discourse"
	"userkeys/internal/watch"
)

// account is a key of a user of a Discourse, as it is watched.
func account(t *testing.T, d *discourse.Site, user string, scopes ...string) watch.Watched {
	t.Helper()
	a := keystore.Account{ID: client.RandomID(), Site: d.URL, Name: user, Scopes: userkeys.Scopes(scopes)}
	return watch.Watched{Account: a, Credential: &client.Credential{Site: d.URL, Key: d.Mint(user, scopes...), Scopes: a.Scopes}}
}

// dashboard serves a page of accounts, which are watched.
func dashboard(t *testing.T, accounts ...watch.Watched) (*watch.Dashboard, *watch.Watcher) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	var page *watch.Dashboard
	w := watch.New(watch.Config{Accounts: accounts, Latest: 5, Changed: func(watch.State) { page.Changed() }})
	page = watch.NewDashboard(watch.DashboardConfig{Watcher: w, Host: server.Listener.Addr().String(), Now: time.Now})
	server.Config.Handler = page
	server.Start()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run(ctx) // it ends with ctx and without an error
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		server.CloseClientConnections()
		server.Close()
	})
	return page, w
}

// read waits until all accounts were asked.
func read(t *testing.T, w *watch.Watcher) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		asked := true
		for _, s := range w.States() {
			asked = asked && s.Health != watch.Waiting && (s.All() == 0 || s.Latest != nil)
		}
		if asked {
			return
		}
	}
	t.Fatalf("not asked: %+v", w.States())
}

func fetch(t *testing.T, method, address string, form url.Values, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := hc.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if _, err := bufio.NewReader(resp.Body).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return resp, b.String()
}

func TestDashboardShowsAndMarks(t *testing.T) {
	t.Parallel()
	d := discourse.Start(t, discourse.New)
	d.AddUser(discourse.User{Name: "alice"})
	d.Notify("alice", discourse.Notification{Title: "Hello <b>there</b>"})
	one := d.Notify("alice", discourse.Notification{Title: "Second"})
	a := account(t, d, "alice", "notifications", "session_info")
	page, w := dashboard(t, a)
	read(t, w)

	resp, body := fetch(t, "GET", page.URL(), nil)
	for _, text := range []string{"2 unread", "Hello", "Second", "Mark all read", "of 2880 calls today"} {
		if !strings.Contains(body, text) {
			t.Errorf("the page lacks %q:\n%s", text, body)
		}
	}
	for _, text := range []string{a.Credential.Key.Reveal(), "<b>there"} {
		if strings.Contains(body, text) {
			t.Errorf("the page has %q", text)
		}
	}
	if h := resp.Header; h.Get("Cache-Control") != "no-store" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("Referrer-Policy") != "same-origin" {
		t.Errorf("headers %v", h)
	}
	resp, _ = fetch(t, "POST", page.URL()+"read", url.Values{"account": {a.Account.ID}, "id": {strconv.Itoa(one)}})
	if resp.StatusCode != http.StatusSeeOther {
		t.Errorf("marking answers %d", resp.StatusCode)
	}
	for deadline := time.Now().Add(20 * time.Second); w.States()[0].Unread != 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after one was read: %+v", w.States()[0])
		}
	}
}

func TestDashboardRefuses(t *testing.T) {
	t.Parallel()
	d := discourse.Start(t, discourse.New)
	d.AddUser(discourse.User{Name: "alice"})
	a := account(t, d, "alice", "notifications")
	page, _ := dashboard(t, a)
	root := strings.TrimSuffix(page.URL(), strings.Split(page.URL(), "/")[3]+"/")
	mark := url.Values{"account": {a.Account.ID}, "id": {"0"}}
	tests := []struct {
		name, method, at string
		form             url.Values
		header           []string
		want             int
	}{
		{"without the token", "GET", root, nil, nil, 404},
		{"another token", "GET", root + strings.Repeat("0", 32) + "/", nil, nil, 404},
		{"a name that points here", "GET", page.URL(), nil, []string{"Host", "evil.example"}, 421},
		{"a form of another site", "POST", page.URL() + "read", mark, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"a form of an older browser on another site", "POST", page.URL() + "refresh", mark, []string{"Origin", "https://evil.example"}, 403},
		{"no notification", "POST", page.URL() + "read", url.Values{"account": {a.Account.ID}}, nil, 400},
		{"a negative one", "POST", page.URL() + "read", url.Values{"id": {"-1"}}, nil, 400},
		{"an account that is not here", "POST", page.URL() + "read", url.Values{"account": {"x"}, "id": {"1"}}, nil, 303},
		{"reading by GET", "GET", page.URL() + "read", nil, nil, 405},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if resp, body := fetch(t, tt.method, tt.at, tt.form, tt.header...); resp.StatusCode != tt.want {
				t.Errorf("%d %s, want %d", resp.StatusCode, body, tt.want)
			}
		})
	}
}

// TestDashboardInABrowser drives the page in Chromium, with and without scripts.
func TestDashboardInABrowser(t *testing.T) {
	t.Parallel()
	var accounts []watch.Watched
	var sites []*discourse.Site
	for _, era := range discourse.Eras {
		d := discourse.Start(t, era)
		d.AddUser(discourse.User{Name: "alice"})
		d.Notify("alice", discourse.Notification{Title: "Welcome to era " + string(era)})
		accounts = append(accounts, account(t, d, "alice", "notifications", "session_info"))
		sites = append(sites, d)
	}
	d := discourse.Start(t, discourse.New)
	d.AddUser(discourse.User{Name: "bob"})
	dead := account(t, d, "bob", "notifications")
	for _, k := range d.Keys() {
		d.Revoke(k.ID)
	}
	page, w := dashboard(t, append(accounts, dead)...)
	read(t, w)
	b := testkit.Chromium(t)
	b.Open(page.URL())
	b.At("3 unread")
	pictures(t, b, "dashboard")
	sites[2].Notify("alice", discourse.Notification{Title: "News while you look"})
	w.Refresh(accounts[2].Account.ID)
	b.Until(`document.body.textContent.includes("News while you look")`)
	b.At("4 unread")
	b.Press(`button[aria-label="Mark News while you look as read"]`)
	b.At("3 unread")

	plain := testkit.Chromium(t)
	plain.NoScripts()
	plain.Open(page.URL())
	plain.Press(`section:nth-of-type(2) .buttons form:last-child button`)
	for deadline := time.Now().Add(20 * time.Second); w.States()[1].All() != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after all was read: %+v", w.States()[1])
		}
	}
}

// pictures takes the page in light, dark and on a phone, where USERKEYS_SCREENSHOTS names a folder.
func pictures(t *testing.T, b *testkit.Browser, name string) {
	t.Helper()
	dir := os.Getenv("USERKEYS_SCREENSHOTS")
	if dir == "" {
		return
	}
	b.Picture(filepath.Join(dir, name+"-light.png"))
	b.Dark(true)
	b.Picture(filepath.Join(dir, name+"-dark.png"))
	b.Dark(false)
	b.Width(390)
	b.Picture(filepath.Join(dir, name+"-phone.png"))
	b.Width(1000)
}
