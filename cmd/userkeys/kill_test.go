package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// killRounds is how often the server is killed: a few times in every test run, often in the long one.
func killRounds(t *testing.T) int {
	switch {
	case os.Getenv("USERKEYS_LONG") != "":
		return 200
	case testing.Short():
		t.Skip("short: kills servers")
	}
	return 5
}

// promise is what the server has acknowledged about one client of alice.
type promise struct {
	key  userkeys.Key // the newest that was given; empty: none yet
	live bool         // false: its revocation was acknowledged
	dead []userkeys.Key
	// unsure: an answer did not come. Either outcome is right, until the next acknowledged one.
	unsure bool
}

// TestKill9LosesNothingAcknowledged tests F1, F2, GR15: kill -9 during grants and revocations. Nothing that was
// acknowledged is lost, there is no half-state, and the site is back within a second.
func TestKill9LosesNothingAcknowledged(t *testing.T) {
	rounds := killRounds(t)
	data := t.TempDir()
	testkit.Run(t, testkit.Password+"\n", "user", "add", "--init", "alice", "--password-stdin", "--data", data)
	testkit.Run(t, "", "settings", "set", "max_user_api_key_grants_per_hour", "10000", "--data", data)

	promises := make([]promise, 8)
	var alice *testkit.Person
	var acked int
	var slowest time.Duration
	for round := range rounds + 1 {
		p := testkit.Serve(t, "--data", data, "--log-level", "error")
		slowest = max(slowest, p.Ready)
		s := testkit.At(t, p.URL)
		if alice == nil {
			alice = s.Person("alice")
		}
		alice.Site, alice.HTTP.Jar = s, moved(t, alice, s)
		for i := range promises {
			keep(t, s, round, i, &promises[i])
		}
		if round == rounds {
			p.Stop(t)
			break
		}
		acked += strain(t, p, alice, promises)
	}
	t.Logf("%d kills, %d acknowledged grants and revocations, slowest start to ready %v", rounds, acked, slowest.Round(time.Millisecond))
	if acked < rounds {
		t.Errorf("only %d acknowledged in %d rounds: nothing was tested", acked, rounds)
	}
	most := 10 * time.Second // beside other tests on a busy machine
	if os.Getenv("USERKEYS_LONG") != "" {
		most = time.Second // the promise
	}
	if slowest > most {
		t.Errorf("ready only after %v", slowest)
	}
}

// moved gives alice her cookies for the new port (cookies know no ports, but the jar's host is the same).
func moved(t *testing.T, alice *testkit.Person, s *testkit.Site) http.CookieJar {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if len(alice.HTTP.Jar.Cookies(u)) == 0 {
		t.Fatal("alice lost her session")
	}
	return alice.HTTP.Jar
}

// keep checks that the restarted server kept a promise.
func keep(t *testing.T, s *testkit.Site, round, client int, p *promise) {
	t.Helper()
	alive := func(k userkeys.Key) bool {
		app := s.App("any", "session_info")
		app.Key = k
		return app.Call("GET", "/session/current.json").StatusCode == http.StatusOK
	}
	for _, k := range p.dead {
		if alive(k) {
			t.Fatalf("round %d, client %d: a replaced or revoked key came back", round, client)
		}
	}
	p.dead = nil
	if p.key == "" {
		return
	}
	switch got := alive(p.key); {
	case p.unsure:
		p.live, p.unsure = got, false
		if !got {
			p.key = "" // replaced by one whose text never came, or revoked
		}
	case got != p.live:
		t.Fatalf("round %d, client %d: acknowledged live=%v, but after the kill live=%v", round, client, p.live, got)
	}
}

// strain has alice grant and revoke on all clients at once until the server is killed, some time after the first
// acknowledgement.
func strain(t *testing.T, p *testkit.Process, alice *testkit.Person, promises []promise) int {
	t.Helper()
	stop := make(chan struct{})
	counts := make([]int, len(promises))
	first := make(chan struct{}, len(promises))
	var wg sync.WaitGroup
	for i := range promises {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !step(alice, i, &promises[i], &counts[i]) {
					return
				}
				select {
				case first <- struct{}{}:
				default:
				}
			}
		})
	}
	select {
	case <-first:
	case <-time.After(nettest.Patience):
		t.Error("nothing was acknowledged")
	}
	time.Sleep(rand.N(300 * time.Millisecond)) // the moment of the kill is what this test draws
	p.Kill()
	close(stop)
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return total
}

// step does one grant or revocation and keeps the books; false when the server is gone.
func step(alice *testkit.Person, client int, p *promise, count *int) bool {
	app := alice.Site.App(fmt.Sprint("client-", client), "session_info")
	if p.key != "" && p.live && rand.IntN(2) == 0 {
		app.Key = p.key
		res, err := app.Try("POST", "/user-api-key/revoke")
		if err != nil || res.StatusCode != http.StatusOK {
			p.unsure = true
			return false
		}
		*count++
		p.live = false
		return true
	}
	key, began, err := app.TryConnect(alice)
	if err != nil {
		p.unsure = p.unsure || began
		return false
	}
	*count++
	if p.key != "" {
		p.dead = append(p.dead, p.key)
	}
	*p = promise{key: key, live: true, dead: p.dead}
	return true
}

// TestStopWritesTheLastUse tests F18: a server that is asked to stop writes the last uses and exits with success.
func TestStopWritesTheLastUse(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	testkit.Run(t, testkit.Password+"\n", "user", "add", "--init", "alice", "--password-stdin", "--data", data)
	p := testkit.Serve(t, "--data", data)
	s := testkit.At(t, p.URL)
	app := s.App("notifier", "session_info").Connect(s.Person("alice"))
	app.Call("GET", "/session/current.json").Must(t, http.StatusOK)
	p.Stop(t)
	if out := testkit.Run(t, "", "keys", "list", "--json", "--data", data); strings.Contains(out, `"last_used_at": null`) {
		t.Errorf("the last use is lost: %s", out)
	}
}
