package doctor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"userkeys/internal/doctor/reach"
	"userkeys/internal/testkit/discourse"
	"userkeys/internal/testkit/nettest"
)

// TestExamineAHugeDescription: what a site claims to know must cost no time here, neither as much of it as is
// read nor more than that.
func TestExamineAHugeDescription(t *testing.T) {
	t.Parallel()
	for _, scopes := range []int{60_000, 28_000} {
		t.Run(fmt.Sprint(scopes), func(t *testing.T) {
			t.Parallel()
			body := describing(scopes)
			if whole := len(body) <= reach.MaxAnswer; whole != (scopes < 60_000) {
				t.Fatalf("%d bytes", len(body))
			}
			f := newForum(t, discourse.New, "read")
			f.always(discourse.Fault{Path: "/.well-known/user-api-key", Body: body})
			const patience = 2 * time.Second
			began := time.Now()
			all, _ := examine(t, Config{Site: f.URL, Calls: []Call{{"GET", "/latest.json"}, {"POST", "/posts.json"}}, OpenKey: f.open, Patience: nettest.Bound(patience)})
			if took := time.Since(began); took > nettest.Bound(patience) {
				t.Errorf("it took %v", took)
			}
			must(t, all, CheckKey, OK, "works")
		})
	}
}

// describing is a description with so many scopes, all of them different and none of them broken.
func describing(scopes int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	var b strings.Builder
	b.WriteString(`{"api_version":4,"open":true,"scopes":[{"name":"read"}`)
	for i := range scopes {
		b.WriteString(`,{"name":"`)
		for range 4 {
			b.WriteByte(letters[i%26])
			i /= 26
		}
		b.WriteString(`","sentence":"x"}`)
	}
	b.WriteString(`]}`)
	return b.String()
}
