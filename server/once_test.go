package server

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// formToken is the one-time token of a page's form.
func formToken(t *testing.T, page answer) string {
	t.Helper()
	m := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(page.text)
	if m == nil {
		t.Fatalf("no token in %s", page.text)
	}
	return m[1]
}

// TestFormsThatMakeSomethingAreSentOnce: a reload of the page that a form led to, and a second click, make nothing more.
func TestFormsThatMakeSomethingAreSentOnce(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	token := formToken(t, f.do(call{path: adminKeysPath, as: "root"}))
	send := func(token string) answer {
		return f.do(call{method: "POST", path: adminKeysPath, as: "root", form: map[string]string{"description": "backup", onceField: token}})
	}
	made := send(token).must(t, http.StatusOK, "newkey1")
	send(token).must(t, http.StatusConflict, "This form was sent already").mustNot(t, "newkey")
	send(formToken(t, made)).must(t, http.StatusOK, "newkey2") // the page with the new key has a new form

	// What was refused makes nothing, and its page's form can be sent.
	refused := f.do(call{method: "POST", path: adminKeysPath, as: "root", form: map[string]string{"description": ""}}).must(t, http.StatusBadRequest)
	send(formToken(t, refused)).must(t, http.StatusOK, "newkey3")

	for name, tt := range map[string]struct {
		token  string
		status int
	}{
		"none":             {"", http.StatusBadRequest},
		"no time":          {"x." + strings.Repeat("A", 26), http.StatusBadRequest},
		"too short":        {newForm(testNow)[:20], http.StatusBadRequest},
		"too long":         {newForm(testNow) + strings.Repeat("A", 100), http.StatusBadRequest},
		"of yesterday":     {newForm(testNow.Add(-formLifetime)), http.StatusConflict},
		"of the next hour": {newForm(testNow.Add(time.Hour)), http.StatusConflict},
	} {
		a := send(tt.token)
		if a.mustNot(t, "newkey"); a.StatusCode != tt.status {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	if n := len(f.authority.adminKeys); n != 3 {
		t.Errorf("%d keys were made", n)
	}
}
