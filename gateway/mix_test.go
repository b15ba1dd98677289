package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/site"
)

// crowd is a checker for which every key is good and names its user.
type crowd struct{ *fakeChecker }

func (crowd) Check(_ context.Context, c site.Call) (userkeys.Access, error) {
	return userkeys.Access{Username: "user-" + c.Key, ClientID: c.Key, Standing: alice.Standing}, nil
}
func (crowd) Holds(context.Context, userkeys.Access) error { return nil }

// TestCVE_2026_71326_UsersSharingConnectionsAreNeverMixed tests T13, RP18 (Traefik CVE-2026-71326, tinyauth
// CVE-2026-33544, Oathkeeper CVE-2026-33496): state that requests share gave one user another's identity.
func TestCVE_2026_71326_UsersSharingConnectionsAreNeverMixed(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(mirror))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	addr := listen(t, newProxy(t, ProxyConfig{Upstream: u, Checker: crowd{}}))
	workers, each := 64, 150
	switch {
	case os.Getenv("USERKEYS_LONG") != "":
		each = 20000
	case testing.Short():
		each = 20
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { askMirror(t, addr, w, each) })
	}
	wg.Wait()
}

// mirror answers with the identity that it was told, the token that it was sent and the body.
func mirror(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(w, "%s|%s|%s|%s", r.Header.Get(UsernameHeader), r.Header.Get("X-Token"), r.RequestURI, b)
}

// askMirror sends requests, each with a token of its own, every fourth as a
// stranger, and looks for it in the answers.
func askMirror(t *testing.T, addr string, worker, n int) {
	c := dial(t, addr)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Minute))
	br := bufio.NewReader(c)
	for i := range n {
		token := fmt.Sprintf("%d-%d", worker, i)
		lines, who := []string{"X-Token: " + token, "User-Api-Key: " + token}, "user-"+token
		if i%4 == 0 {
			lines, who = lines[:1], ""
		}
		body := strings.Repeat(token, i%50)
		_, _ = io.WriteString(c, post("/"+token, body, lines...))
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Errorf("%s: %v", token, err)
			return
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if want := who + "|" + token + "|/" + token + "|" + body; err != nil || string(got) != want {
			t.Errorf("%s got %.100q (%v)", token, got, err)
			return
		}
	}
}
