package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// scriptAdmin calls the admin API with the key in a file, as a user ("" for
// none named), and wants a status, and texts in the answer, within a second.
func scriptAdmin(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) >= 5, "admin STATUS METHOD PATH KEYFILE USER [TEXT...]")
	visitor := scriptSite(ts).Visitor()
	key := strings.TrimSpace(ts.ReadFile(args[3]))
	call := func() testkit.Answer {
		r := visitor.Request(args[1], args[2], "")
		r.Header.Set("Api-Key", key)
		if args[4] != "" {
			r.Header.Set("Api-Username", args[4])
		}
		a, err := visitor.Try(r)
		ts.Check(err)
		return a
	}
	good := func(a testkit.Answer) bool {
		for _, text := range args[5:] {
			if !strings.Contains(a.Body, text) {
				return false
			}
		}
		return strconv.Itoa(a.StatusCode) == args[0]
	}
	a := call()
	for deadline := time.Now().Add(nettest.Bound(time.Second)); !good(a); a = call() {
		if time.Now().After(deadline) {
			ts.Fatalf("%s %s: %d %s", args[1], args[2], a.StatusCode, a.Body)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
