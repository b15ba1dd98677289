package main

import (
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// scriptReserve sets variables to addresses where nothing listens yet.
func scriptReserve(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) > 0, "reserve NAME...")
	for _, name := range args {
		ts.Setenv(name, nettest.ReserveAddress(ts.Value("test").(testing.TB)))
	}
}

// scriptWebsite starts a website that answers whom it was told calls, and sets a variable to its address.
func scriptWebsite(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 1, "website NAME")
	ts.Setenv(args[0], strings.TrimPrefix(testkit.NewUpstream(ts.Value("test").(testing.TB)).URL, "http://"))
}

// scriptNginx starts nginx at $ADDR with a file of its http block.
func scriptNginx(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 1, "nginx FILE")
	addr := ts.Getenv("ADDR")
	conf := strings.ReplaceAll(ts.ReadFile(args[0]), "listen "+addr[strings.LastIndexByte(addr, ':')+1:], "listen "+addr)
	nettest.StartNginx(ts.Value("test").(testing.TB), addr, conf)
}
