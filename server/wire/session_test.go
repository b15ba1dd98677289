package wire_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys/internal/testkit/fakesite"
)

// user is what an app reads of the user it acts for.
type user struct {
	ID         int64   `json:"id"`
	Username   string  `json:"username"`
	Name       *string `json:"name"`
	Avatar     string  `json:"avatar_template"`
	TrustLevel int     `json:"trust_level"`
}

func TestSessionCurrent(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithKeys(t)
	avatar := f.Door.Frame().Asset("avatar.svg")
	name := "Alice A."
	for _, tt := range []struct {
		name string
		call fakesite.Call
		want user
	}{
		{"session", fakesite.Call{As: "alice"}, user{ID: 1, Username: "alice", Name: &name, Avatar: avatar, TrustLevel: 2}},
		{"key", fakesite.Call{Key: "key-1"}, user{ID: 1, Username: "alice", Avatar: avatar, TrustLevel: 2}},
		{"a key beside a foreign cookie", fakesite.Call{As: "bob", Key: "key-1"}, user{ID: 1, Username: "alice", Avatar: avatar, TrustLevel: 2}},
	} {
		for _, path := range []string{"/session/current", "/session/current.json"} {
			t.Run(tt.name+path, func(t *testing.T) {
				c := tt.call
				c.Path = path
				a := f.Do(c)
				a.Must(t, http.StatusOK)
				var got struct {
					CurrentUser user `json:"current_user"`
				}
				if err := json.Unmarshal([]byte(a.Text), &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got.CurrentUser); diff != "" {
					t.Error(diff)
				}
				if a.Header.Get("X-Discourse-Username") != "alice" {
					t.Errorf("X-Discourse-Username is %q", a.Header.Get("X-Discourse-Username"))
				}
			})
		}
	}
	f.Do(fakesite.Call{Path: "/session/current.json"}).Must(t, http.StatusNotFound)
	f.Do(fakesite.Call{Path: "/session/current.json", As: "alice", Key: "key-99"}).Must(t, http.StatusForbidden, `"reason":"invalid key"`)
}
