package admin_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/fakesite"
	"userkeys/server/door"
)

// formToken is the one-time token of a page's form.
func formToken(t *testing.T, page fakesite.Answer) string {
	t.Helper()
	m := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(page.Text)
	if m == nil {
		t.Fatalf("no token in %s", page.Text)
	}
	return m[1]
}

// TestFormsThatMakeSomethingAreSentOnce: a reload of the page that a form led to, and a second click, make nothing more.
func TestFormsThatMakeSomethingAreSentOnce(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	token := formToken(t, f.Do(fakesite.Call{Path: "/user-api-key/admin/api-keys", As: "root"}))
	send := func(token string) fakesite.Answer {
		return f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys", As: "root", Form: map[string]string{"description": "backup", door.OnceField: token}})
	}
	made := send(token).Must(t, http.StatusOK, madeKey)
	send(token).Must(t, http.StatusConflict, "This form was sent already").MustNot(t, madeKey)
	send(formToken(t, made)).Must(t, http.StatusOK, madeKey) // the page with the new key has a new form

	// What was refused makes nothing, and its page's form can be sent.
	refused := f.Do(fakesite.Call{Method: "POST", Path: "/user-api-key/admin/api-keys", As: "root", Form: map[string]string{"description": ""}}).Must(t, http.StatusBadRequest)
	send(formToken(t, refused)).Must(t, http.StatusOK, madeKey)

	for name, tt := range map[string]struct {
		token  string
		status int
	}{
		"none":             {"", http.StatusBadRequest},
		"no time":          {"x." + strings.Repeat("A", 26), http.StatusBadRequest},
		"too short":        {door.NewForm(fakesite.Now)[:20], http.StatusBadRequest},
		"too long":         {door.NewForm(fakesite.Now) + strings.Repeat("A", 100), http.StatusBadRequest},
		"of yesterday":     {door.NewForm(fakesite.Now.Add(-door.FormLifetime)), http.StatusConflict},
		"of the next hour": {door.NewForm(fakesite.Now.Add(time.Hour)), http.StatusConflict},
	} {
		a := send(tt.token)
		if a.MustNot(t, madeKey); a.StatusCode != tt.status {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	if n := f.Count("userkeys_admin_keys"); n != 3 {
		t.Errorf("%d keys were made", n)
	}
}
