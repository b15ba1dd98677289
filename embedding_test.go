package userkeys_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"userkeys"
	"userkeys/authority"
	"userkeys/gateway"
	"userkeys/server"
	"userkeys/store"
)

// mySessions stands for the sessions that a site has already.
type mySessions struct{}

// Visitor finds nobody signed in.
func (mySessions) Visitor(*http.Request) (userkeys.Visitor, error) { return userkeys.Visitor{}, nil }

// LoginURL is the site's login page.
func (mySessions) LoginURL(back string) string { return "/sign-in?back=" + back }

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
	auth, err := authority.New(ctx, authority.Config{Store: st})
	check(err)
	pages, err := server.New(server.Config{Authority: auth, Identity: mySessions{}})
	check(err)
	pages.Mount(mux)
	mux.Handle("/api/", gateway.Guard(auth)(api))
	running := make(chan error, 1)
	go func() { running <- auth.Run(ctx) }()

	for _, key := range []string{"", "0123456789abcdef0123456789abcdef"} {
		r := httptest.NewRequest("GET", "/api/posts", nil)
		if key != "" {
			r.Header.Set(userkeys.KeyHeader, key)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		body, err := io.ReadAll(w.Body)
		check(err)
		fmt.Println(w.Code, strings.TrimSpace(string(body)))
	}
	stop()
	check(<-running)
	// Output:
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
