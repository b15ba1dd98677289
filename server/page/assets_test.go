package page_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"userkeys/internal/testkit/fakesite"
)

func TestAssets(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	page := f.Do(fakesite.Call{Path: "/"})
	found := regexp.MustCompile(`(?:href|src)="(/user-api-key/assets/[^"]+)"`).FindAllStringSubmatch(page.Text, -1)
	if len(found) != 3 {
		t.Fatalf("the page loads %v", found)
	}
	for _, m := range found {
		a := f.Do(fakesite.Call{Path: m[1]})
		a.Must(t, http.StatusOK)
		if got := a.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control is %q", m[1], got)
		}
		if kind := a.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/html") || kind == "" {
			t.Errorf("%s is %q", m[1], kind)
		}
	}
	a := f.Do(fakesite.Call{Path: "/user-api-key/assets/style.000000000000.css"})
	a.Must(t, http.StatusOK, "prefers-color-scheme: dark")
	if got := a.Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("another version's name: Cache-Control is %q", got)
	}
	for _, name := range []string{"nothing.css", "frame.html", "..%2fserver.go", "style.css.map"} {
		f.Do(fakesite.Call{Path: "/user-api-key/assets/" + name}).Must(t, http.StatusNotFound)
	}
}
