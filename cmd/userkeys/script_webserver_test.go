package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"userkeys/internal/testkit/nettest"
)

// scriptReserve sets variables to addresses where nothing listens yet.
func scriptReserve(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) > 0, "reserve NAME...")
	for _, name := range args {
		ts.Setenv(name, nettest.ReserveAddress(ts.Value("test").(testing.TB)))
	}
}

// scriptWebsite starts a website that has nothing but bees, and sets a variable to its address.
func scriptWebsite(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 1, "website NAME")
	website := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/bees" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, "bees of "+r.Header.Get("X-Userkeys-Username"))
	}))
	ts.Value("test").(testing.TB).Cleanup(website.Close)
	ts.Setenv(args[0], strings.TrimPrefix(website.URL, "http://"))
}

// scriptNginx starts nginx at $ADDR with a file of its http block.
func scriptNginx(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 1, "nginx FILE")
	addr := ts.Getenv("ADDR")
	conf := strings.ReplaceAll(ts.ReadFile(args[0]), "listen "+addr[strings.LastIndexByte(addr, ':')+1:], "listen "+addr)
	nettest.StartNginx(ts.Value("test").(testing.TB), addr, conf)
}
