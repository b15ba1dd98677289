//go:build unix

package main

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// targetParts are what targets are made of that somebody reads in two ways.
var targetParts = []string{
	"pub", "admin", "pub", "/", "/", "/", "//", ".", "..", "/../", "/./", "%2e", "%2E%2e", "%2f", "%2F", "%5c", "\\", ";", ";x=1",
	"..;", "?", "?x=1", "&y=2", "?user_api_key=x", "%00", "%zz", "%", "#", "\u00e9", "%C3%A9", "+", "*", "a", "b.json", ":", "@",
	"~", "%70ub", "%2e%2e/", "!", "'", "(", "|", "^", "{", "user-api-key", "my/apps", "session/current.json", "healthz",
}

func randomTarget(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString([]string{"/", "/pub/", "/pub", "/admin", "//", "/user-api-key", "/x/../pub/"}[r.IntN(7)])
	for range r.IntN(6) {
		b.WriteString(targetParts[r.IntN(len(targetParts))])
	}
	return b.String()
}

// randomHeader is a header of the identity or of a question, in some spelling.
func randomHeader(r *rand.Rand) string {
	names := []string{
		"X-Userkeys-Username", "X-Userkeys-Key-Id", "X-Userkeys-Admin", "X-Userkeys-External-Id", "HTTP-X-Userkeys-Username",
		"X-Forwarded-Uri", "X-Forwarded-Method", "X-Original-Uri", "X-Original-Method", "X-Rewrite-Url",
	}
	name := []byte(names[r.IntN(len(names))])
	for i, c := range name {
		switch {
		case c == '-' && r.IntN(3) == 0:
			name[i] = "_."[r.IntN(2)]
		case r.IntN(3) == 0:
			name[i] = strings.ToUpper(string(c))[0]
		}
	}
	if strings.Contains(strings.ToLower(string(name)), "userkeys") {
		return string(name) + ": root"
	}
	return string(name) + ": /pub/"
}

// TestWebServersOnRandomTargets sends targets and headers at random through each web server, with a key that may read
// what is below /pub and without one: what the website gets in the name of the key's owner is below /pub however it is
// read, and nobody else is named.
func TestWebServersOnRandomTargets(t *testing.T) {
	t.Parallel()
	rounds := 150
	if os.Getenv("USERKEYS_LONG") != "" {
		rounds = 10_000
	}
	eachWebServer(t, func(t *testing.T, server string) {
		front := nettest.ReserveAddress(t)
		a := startAsking(t, front, "max_user_api_reqs_per_minute = 10000", "max_user_api_reqs_per_day = 1000000",
			"max_user_api_reqs_per_user_per_minute = 0")
		w := testkit.Recipe{Server: server, Scheme: "http", Addr: front, Args: a.args}.Start(t)
		key := w.App("pub", "pub").Connect(w.Person("alice")).Key.Reveal()
		seed := rand.Uint64()
		r, passed := rand.New(rand.NewPCG(seed, 0)), 0
		for range rounds {
			q := wireRequest{method: "GET", target: randomTarget(r)}
			for range r.IntN(4) {
				q.header = append(q.header, randomHeader(r))
			}
			if r.IntN(4) > 0 {
				q.header = append(q.header, "User-Api-Key: "+key)
			}
			answer := q.over11(w)
			reached := a.website.Take()
			for _, got := range reached {
				path, _, _ := strings.Cut(got.Target, "?")
				switch told := toldOf(t, got); {
				case told == "": // a stranger's, or answered by userkeys with a key of its own check
				case told != "alice":
					t.Errorf("the website is told %q", told)
				default:
					passed++
					if clean, err := userkeys.CanonicalPath(path); err != nil || !strings.HasPrefix(clean+"/", "/pub/") {
						t.Errorf("the key for /pub/ opened %s", got.Target)
					}
				}
			}
			if len(reached) > 1 || len(reached) == 1 && answer.StatusCode != 200 {
				t.Errorf("%d, and the website got %d requests", answer.StatusCode, len(reached))
			}
			if t.Failed() {
				t.Fatalf("seed %d: %+v", seed, q)
			}
		}
		if passed < rounds/50 {
			t.Errorf("only %d of %d requests passed with the key: this shows little", passed, rounds)
		}
	})
}
