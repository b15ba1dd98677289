package fakesite

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
)

// JSONCall is a call with a JSON body.
func JSONCall(method, path, body string) Call {
	return Call{Method: method, Path: path, Body: body, Header: map[string]string{"Content-Type": "application/json"}}
}

// By is c with an admin API key that acts as acts.
func (c Call) By(adminKey, acts string) Call {
	c.AdminKey, c.Acts = adminKey, acts
	return c
}

// Tell adds a notification for somebody and returns its id.
func (f *Site) Tell(who string, n site.Notification) int64 {
	f.T.Helper()
	told, err := f.Config.Inbox.Add(f.T.Context(),
		site.Announcement{Usernames: []string{who}, Notification: n, Caller: site.Caller{As: site.CallerSystem}})
	if err != nil {
		f.T.Fatal(err)
	}
	return told.IDs[0]
}

// Put sends a PUT as a script of the site itself does for a user, or an app with a key. The body is a form if it begins
// as one, and otherwise JSON.
func (f *Site) Put(path, as, key, body string) Answer {
	f.T.Helper()
	h := map[string]string{"Content-Type": "application/json"}
	if formBody.MatchString(body) {
		h["Content-Type"] = "application/x-www-form-urlencoded"
	}
	if key == "" {
		h["Origin"], h["Sec-Fetch-Site"], h["X-CSRF-Token"] = "https://site.example", "same-origin", "token-of-"+as
	}
	return f.Do(Call{Method: http.MethodPut, Path: path, As: as, Key: key, Body: body, Header: h})
}

var formBody = regexp.MustCompile(`^[a-z_]+=`)

// Decode reads an answer's JSON.
func Decode[T any](t *testing.T, a Answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.Text), &v); err != nil {
		t.Fatalf("%v: %s", err, a.Text)
	}
	return v
}

// Listed is what a list answers, as an app reads it.
type Listed struct {
	Notifications []struct {
		ID   int64
		Read bool
	}
	Total int    `json:"total_rows_notifications"`
	Seen  *int64 `json:"seen_notification_id"`
	More  string `json:"load_more_notifications"`
}

// IDs are the ids of the notifications.
func (l Listed) IDs() []int64 {
	var out []int64
	for _, n := range l.Notifications {
		out = append(out, n.ID)
	}
	return out
}

// With returns c with these headers in place of those that it had.
func With(c Call, nameValues ...string) Call {
	c.Header = map[string]string{}
	for i := 0; i+1 < len(nameValues); i += 2 {
		c.Header[nameValues[i]] = nameValues[i+1]
	}
	return c
}

// Without returns c without the session's token.
func Without(c Call) Call {
	c.NoToken = true
	return c
}

// Concrete is a request that a route's pattern stands for.
func Concrete(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.NewReplacer("{$}", "", "{username}", "alice", "{name}", "style.css", "{id}", "1").Replace(path)
}

// FormFor is the form that a request by a method has.
func FormFor(method string) map[string]string {
	if method == http.MethodPost {
		return map[string]string{}
	}
	return nil
}

// KeyText is the text of the key that tests call "key-" and its id.
func KeyText(name string) string { return dbtest.KeyText(name) }
