package docs_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
)

// forum is a site before a small website, and alice, who is signed in there.
type forum struct {
	*testkit.Site
	base     string // where programs find the site
	alice    *testkit.Person
	upstream *testkit.Upstream
	t        testing.TB
}

func newForum(t *testing.T) *forum {
	t.Helper()
	f := &forum{upstream: testkit.NewUpstream(t), t: t}
	f.Site = testkit.NewSite(t, dbtest.SQLite(t), testkit.Behind(f.upstream.URL))
	f.User("alice")
	f.alice = f.Person("alice")
	f.base = f.URL
	f.answers()
	return f
}

// answers has the website answer with these, one for each call, and then with who calls.
func (f *forum) answers(first ...http.HandlerFunc) {
	queue := make(chan http.HandlerFunc, len(first))
	for _, h := range first {
		queue <- h
	}
	f.upstream.Say(func(w http.ResponseWriter, r *http.Request) {
		select {
		case h := <-queue:
			h(w, r)
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"current_user": map[string]any{"id": 1, "username": r.Header.Get("X-Userkeys-Username")}}) // a client that is gone needs none
		}
	})
}

// front is the address of a proxy before the site, which handle may keep requests from. It tells programs to ask
// every second whether a code was approved: so many tests would wait for the five seconds that the site says.
func (f *forum) front(handle func(w http.ResponseWriter, r *http.Request, next http.Handler)) string {
	to, err := url.Parse(f.URL)
	if err != nil {
		f.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, proxy) }))
	proxy.ModifyResponse = func(r *http.Response) error { // the addresses that it tells are the proxy's
		body := strings.ReplaceAll(testkit.Read(r), f.URL, s.URL)
		body = strings.ReplaceAll(body, `"interval":5,`, `"interval":1,`)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return nil
	}
	f.t.Cleanup(s.Close)
	return s.URL
}

func (f *forum) revokeAll() {
	for _, k := range f.Keys() {
		if err := f.Authority.Revoke(f.t.Context(), k.ID, testkit.Command); err != nil {
			f.t.Error(err)
		}
	}
}

var codeLine = regexp.MustCompile(`^Open (\S+) and type (\S+)$`)

// approve does what the program tells the person, as alice, also a second time; change is what an
// attacker or an older site makes of the request on its way, empty for nothing.
func (f *forum) approve(r *run, change map[string]string) {
	f.t.Helper()
	if r.told == "" {
		r.told = r.line("Open ")
	}
	line := r.told
	if m := codeLine.FindStringSubmatch(line); m != nil && r.flow == device {
		f.activate(m[1], m[2])
		return
	}
	address, err := url.Parse(strings.TrimPrefix(line, "Open "))
	if err != nil || r.flow == device {
		f.t.Fatalf("told to do another thing than the flow %s: %v", r.flow, err)
	}
	q := address.Query()
	for name, value := range change {
		q.Set(name, value)
	}
	page := f.alice.Get(address.Path+"?"+q.Encode()).Must(f.t, http.StatusOK, "Hello", "alice")
	answer := f.alice.Submit(page, "/user-api-key")
	if r.flow == paste {
		sealed, ok := answer.Must(f.t, http.StatusOK).Text("user-api-key-payload")
		if !ok {
			f.t.Fatal("the page shows no payload")
		}
		r.paste(strings.TrimSpace(sealed))
		return
	}
	f.follow(r, answer.Must(f.t, http.StatusFound).Header.Get("Location"))
}

func (f *forum) activate(address, code string) {
	f.t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Path != "/user-api-key/activate" {
		f.t.Fatalf("told to type the code at %q", address)
	}
	page := f.alice.Submit(f.alice.Get(u.Path).Must(f.t, http.StatusOK), u.Path, "code", code).Must(f.t, http.StatusOK, "Hello")
	f.alice.Follow(f.alice.Submit(page, "/user-api-key/device/authorize")).Must(f.t, http.StatusOK, "go back to the device")
}

// follow goes where the site sends the browser, after another page has tried to answer
// in its place and a connection was opened that is never used, as browsers do.
func (f *forum) follow(r *run, location string) {
	f.t.Helper()
	u, err := url.Parse(location)
	if err != nil || u.Hostname() != "127.0.0.1" {
		f.t.Fatalf("sent to %q: %v", location, err)
	}
	hc := &http.Client{Timeout: 20 * time.Second}
	defer hc.CloseIdleConnections()
	for _, address := range []string{"http://" + u.Host + "/?payload=forged", location} {
		resp, err := hc.Get(address)
		if err != nil {
			f.t.Fatalf("%v\n%s", err, r.everything())
		}
		body := testkit.Read(resp)
		if address == location && !strings.Contains(body, "You can close this window") {
			f.t.Errorf("the browser shows %q", body)
		}
	}
}

var hexDigits = regexp.MustCompile(`[0-9a-f]{32}`)

// noSecrets looks for secrets in what the program said and left behind.
func (f *forum) noSecrets(r *run) {
	f.t.Helper()
	said := r.everything()
	if strings.Contains(said, "PRIVATE KEY") {
		f.t.Error("the private key was printed")
	}
	if strings.Contains(said, "payload=") || r.pasted != "" && strings.Contains(said, r.pasted[:40]) {
		f.t.Error("the payload was printed")
	}
	for _, word := range hexDigits.FindAllString(said, -1) {
		for _, k := range f.Keys() {
			if userkeys.Key(word).Hash() == k.Hash {
				f.t.Error("the key was printed")
			}
		}
	}
	for dir, want := range map[string]string{r.home: ".hello-client-id", r.temp: ""} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != want {
				f.t.Errorf("it left %s behind", filepath.Join(dir, e.Name()))
			}
		}
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
