package apps_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/fakesite"
	"userkeys/site"
)

// manyApps is a site where alice has n more keys, with names as long as they may be.
func manyApps(t *testing.T, n int) *fakesite.Site {
	t.Helper()
	f := fakesite.NewWithKeys(t)
	long := strings.Repeat("\u05d0\u0301 ", 66)
	for i := range n {
		f.Add(site.UserAPIKey{
			UserID: fakesite.Alice.ID, ApplicationName: fmt.Sprintf("App %03d %s", i, long), CreatedAt: fakesite.Now,
			Scopes: userkeys.Scopes{"read", "write", "notifications", "session_info"}, ExpiresAt: fakesite.Now.Add(time.Hour),
		})
	}
	f.Exec("UPDATE userkeys_keys SET destination = $1, approved_with = 'Firefox on Android' WHERE id > 5", "https://forum-app.example")
	return f
}

func TestAppsComeInPages(t *testing.T) {
	t.Parallel()
	f := manyApps(t, 60)
	seen := map[string]bool{}
	for page, want := range []int{50, 13} {
		a := f.Do(fakesite.Call{Path: fmt.Sprintf("/my/apps?sort=used&page=%d", page+1), As: "alice"})
		a.Must(t, http.StatusOK, fmt.Sprintf("Page %d of 2", page+1), "In use (63)", "Ended (1)", `type="search"`)
		if len(a.Text) > 100_000 {
			t.Errorf("page %d has %d bytes", page+1, len(a.Text))
		}
		rows := strings.Split(a.Text, `<li class="key" id="`)[1:]
		for _, row := range rows {
			id, _, _ := strings.Cut(row, `"`)
			if seen[id] {
				t.Errorf("%s is on two pages", id)
			}
			seen[id] = true
		}
		if len(rows) != want {
			t.Errorf("page %d has %d apps, want %d", page+1, len(rows), want)
		}
		if first := page == 0; strings.Contains(a.Text, `rel="prev"`) == first || strings.Contains(a.Text, `rel="next"`) != first {
			t.Errorf("page %d leads elsewhere", page+1)
		}
	}
	// A form leads back to the page where it was sent.
	c := revokeCall("alice", "10")
	c.Form["page"], c.Form["q"] = "2", "App & 0"
	a := f.Do(c).Must(t, http.StatusSeeOther)
	if got, want := a.Header.Get("Location"), "/my/apps?done=revoked&key=10&page=2&q=App+%26+0"; got != want {
		t.Errorf("it leads to %q, want %q", got, want)
	}
}

func TestAppsSearch(t *testing.T) {
	t.Parallel()
	f := manyApps(t, 12)
	for q, want := range map[string]int{"app 00": 10, "ANDROID": 12, "forum-app": 12, "Old": 1, "Bobs": 0, "%": 0, `"><script>`: 1, "\x00'": 0} {
		a := f.Do(fakesite.Call{Path: "/my/apps?q=" + url.QueryEscape(q), As: "alice"}).Must(t, http.StatusOK, "End the search")
		if q == `"><script>` {
			want = 0
		}
		if n := strings.Count(a.Text, `<li class="key"`); n != want {
			t.Errorf("%q finds %d apps, want %d", q, n, want)
		}
		a.MustNot(t, "<script>", "Bobs</bdi>")
	}
	f.Do(fakesite.Call{Path: "/my/apps?q=Fresh", As: "alice"}).Must(t, http.StatusOK, "One app with <bdi>")
	f.Do(fakesite.Call{Path: "/my/apps?q=Gone&show=ended", As: "alice"}).Must(t, http.StatusOK, "One app with <bdi>", "you revoked it", "the revocation of Gone")
	f.Do(fakesite.Call{Path: "/user-api-key/apps.json?q=Fresh", As: "alice"}).Must(t, http.StatusOK, `"found":1,"live":15,"ended":1}`)
}

// TestNewAppsAreMarked: a user sees which apps were approved since they looked last.
func TestNewAppsAreMarked(t *testing.T) {
	t.Parallel()
	const mark = `<span class="tag on">new</span>`
	f := fakesite.NewWithKeys(t)
	look := func() fakesite.Answer {
		return f.Do(fakesite.Call{Path: "/my/apps", As: "alice"}).Must(t, http.StatusOK)
	}
	look().MustNot(t, mark) // the first visit of all
	f.Exec("UPDATE userkeys_app_visits SET last_at = $1", fakesite.Now.Add(-4*24*time.Hour).UnixMicro())
	f.Exec("UPDATE userkeys_keys SET created_at = $1 WHERE id = 2", fakesite.Now.Add(-3*24*time.Hour).UnixMicro())
	for range 2 { // also where the page is loaded again
		a := look()
		if n := strings.Count(a.Text, mark); n != 1 || !strings.Contains(a.Text, "<bdi>Never</bdi> "+mark) {
			t.Errorf("%d apps are marked", n)
		}
	}
	f.Exec("DELETE FROM userkeys_app_visits")
	f.Identity.App = "Phone" // what an app looks at, its user has not seen
	look()
	if n := f.Count("userkeys_app_visits"); n != 0 {
		t.Errorf("%d visits are stored of an app", n)
	}
}

// TestAUserUndoesTheirOwnOnly: the page that says what was revoked shows nothing of somebody else's key.
func TestAUserUndoesTheirOwnOnly(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	f.Exec("UPDATE userkeys_keys SET revoked_at = $1, revoked_by = 'owner' WHERE id = 5", fakesite.Now.UnixMicro())
	f.Do(fakesite.Call{Path: "/my/apps?done=revoked&key=5", As: "alice"}).Must(t, http.StatusOK).MustNot(t, `id="undo"`, "Bobs")
	f.Do(fakesite.Call{Path: "/my/apps?done=revoked&key=4", As: "alice"}).Must(t, http.StatusOK, `id="undo"`)
	f.Exec("UPDATE userkeys_keys SET revoked_by = 'admin' WHERE id = 4")
	f.Do(fakesite.Call{Path: "/my/apps?done=revoked&key=4", As: "alice"}).Must(t, http.StatusOK).MustNot(t, `id="undo"`)
	f.Do(fakesite.Call{Path: "/my/apps?show=ended", As: "alice"}).Must(t, http.StatusOK, "an administrator revoked it").MustNot(t, "Undo")
}
