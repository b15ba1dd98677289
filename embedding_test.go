package userkeys_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"userkeys"
	"userkeys/authority"
	"userkeys/client"
	"userkeys/gateway"
	"userkeys/server"
	"userkeys/site"
	"userkeys/store"
)

// sessions stands for the sessions that a site has already: who is signed in, by cookie.
type sessions map[string]site.User

// Visitor tells who sends r.
func (s sessions) Visitor(r *http.Request) (site.Caller, error) {
	cookie, err := r.Cookie("session")
	if err != nil {
		return site.Caller{}, nil // nobody is signed in
	}
	name := fmt.Sprintf("%x", sha256.Sum256([]byte(cookie.Value))) // the session's name, not its secret
	return site.Caller{User: s[cookie.Value], Session: site.Session{ID: name}}, nil
}

// LoginURL is the site's login page. What it leads back to has parameters of its own.
func (sessions) LoginURL(back string) string { return "/sign-in?back=" + url.QueryEscape(back) }

// A site of one's own with userkeys in it: its pages beside yours, its guard
// around your API. README.md shows the same lines.
func Example_embedding() {
	dir, err := os.MkdirTemp("", "userkeys-example-*")
	check(err)
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", store.SQLiteDSN(filepath.Join(dir, "userkeys.db")))
	check(err)
	defer db.Close()
	ctx, stop := context.WithCancel(context.Background())
	mux := http.NewServeMux()
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, ok := userkeys.FromContext(r.Context())
		fmt.Fprintf(w, "with a key: %v\n", ok)
	})

	st, err := store.Open(ctx, db, store.SQLite)
	check(err)
	_, err = st.Migrate(ctx)
	check(err)
	auth, err := authority.New(ctx, authority.Config{
		Store: st,
	})
	check(err)
	alice, err := st.FindOrCreateUser(ctx, site.User{Username: "alice", TrustLevel: 1}, site.Caller{As: site.CallerSystem})
	check(err)
	mySessions := sessions{"secret": alice}
	base, err := url.Parse("https://www.example")
	check(err)
	pages, err := server.New(server.Config{Authority: auth, Identity: mySessions, BaseURL: base})
	check(err)
	pages.Mount(mux)
	mux.Handle("/api/", gateway.Guard(auth)(api))
	running := make(chan error, 1)
	go func() { running <- auth.Run(ctx) }()

	get := func(address string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", address, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	app, err := client.Begin(client.Request{
		Site: base.String(), ApplicationName: "Notifier", ClientID: "installation 1", Scopes: userkeys.Scopes{"read"},
	})
	check(err)
	w := get(app.URL)
	back, err := url.Parse(w.Header().Get("Location"))
	check(err)
	fmt.Println(w.Code, back.Path, "and back with every parameter:", base.String()+back.Query().Get("back") == app.URL)
	w = get(app.URL, "Cookie", "session=secret")
	fmt.Println(w.Code, "asks alice:", strings.Contains(w.Body.String(), "Notifier") && strings.Contains(w.Body.String(), "alice"))
	for _, key := range [][]string{nil, {userkeys.KeyHeader, "0123456789abcdef0123456789abcdef"}} {
		w := get("/api/posts", key...)
		fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
	}
	stop()
	check(<-running)
	// Output:
	// 302 /sign-in and back with every parameter: true
	// 200 asks alice: true
	// 200 with a key: false
	// 403 {"errors":["You are not permitted to view the requested resource."],"error_type":"invalid_access","reason":"invalid key"}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// TestReadmeShowsTheExample: what README.md says to write is what is run above.
func TestReadmeShowsTheExample(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("embedding_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(readme), "```go\n")
	snippet, _, closed := strings.Cut(after, "```")
	if !ok || !closed {
		t.Fatal("README.md has no Go")
	}
	rest := string(example)
	for line := range strings.Lines(snippet) {
		code, _, _ := strings.Cut(line, " //")
		code = strings.TrimSpace(code)
		_, after, found := strings.Cut(rest, code)
		if !found {
			t.Errorf("README.md says %q, which is not in embedding_test.go, or not in this place", code)
			continue
		}
		rest = after
	}
}
