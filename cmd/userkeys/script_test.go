package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"userkeys"
	"userkeys/internal/appcmd/appkeys"
	"userkeys/internal/cli"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// TestMain lets scripts run a browser that only follows: the test binary is that browser when called by its name.
func TestMain(m *testing.M) {
	testkit.LeaveKeychain()
	testscript.Main(tests{m}, map[string]func(){"follow": follow})
}

type tests struct{ *testing.M }

// Run runs the tests with the program on PATH as it ships, and leaves none behind: with the race detector it would start
// six times as slowly and end a second later. Most of them wait, for programs and for what sites make apps wait:
// more than one for each core may do so at a time.
func (m tests) Run() int {
	defer testkit.CleanUpBinary()
	program, err := testkit.BuildBinary()
	if err == nil {
		err = os.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	if err != nil {
		panic(err)
	}
	if f := flag.Lookup("test.parallel"); f != nil && f.Value.String() == f.DefValue {
		_ = f.Value.Set("8") // a number
	}
	return m.M.Run()
}

// TestScripts runs testdata/script: the program as people at a terminal and
// their scripts meet it. Each script has $ADDR and $URL, where nothing listens yet, $OTHER likewise, the file
// password with the password that its people have, and the commands of scriptCommands.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", Deadline: time.Now().Add(8 * time.Minute), RequireExplicitExec: true, RequireUniqueNames: true, Cmds: scriptCommands,
		Setup: func(env *testscript.Env) error {
			test := env.T().(testing.TB)
			addr := nettest.ReserveAddress(test)
			env.Setenv("OTHER", nettest.ReserveAddress(test))
			env.Setenv("ADDR", addr)
			env.Setenv("URL", "http://"+addr)
			env.Setenv("USERKEYS_DATA", env.WorkDir+"/data")
			env.Setenv(appkeys.ConfigDirEnv, env.WorkDir+"/keys")
			env.Setenv(appkeys.KeystoreEnv, "plain")
			env.Setenv("CI", "")
			env.Vars = append(env.Vars, testkit.NoKeychain)
			env.Values["board"] = &board{}
			env.Values["test"] = test
			return nil
		},
	})
}

// scriptCommands are what scripts can do besides calling programs.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"ready": scriptReady, "connect": scriptConnect, "api": scriptAPI, "ask": scriptAsk, "approving": scriptApproving, "signal": scriptSignal, "exits": scriptExits, "admin": scriptAdmin, "storekey": scriptStoreKey,
	"board": scriptBoard, "word": scriptWord, "push": scriptPush, "until": scriptUntil, "shows": scriptShows,
	"reserve": scriptReserve, "website": scriptWebsite, "nginx": scriptNginx,
}

// scriptSite is the site that the script has started at $URL.
func scriptSite(ts *testscript.TestScript) *testkit.Site {
	return testkit.At(ts.Value("test").(testing.TB), ts.Getenv("URL"))
}

func want(ts *testscript.TestScript, ok bool, usage string) {
	if !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

// scriptReady waits until the site can answer.
func scriptReady(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 0, "ready")
	visitor := scriptSite(ts).Visitor()
	for deadline := time.Now().Add(nettest.Patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if a, err := visitor.Try(visitor.Request("GET", "/readyz", "")); err == nil && a.StatusCode == http.StatusOK {
			return
		}
	}
	ts.Fatalf("nothing is ready at %s", ts.Getenv("URL"))
}

// scriptUntil runs a program again and again until it ends well.
func scriptUntil(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) > 0, "until PROGRAM [ARG...]")
	for deadline := time.Now().Add(nettest.Patience); ts.Exec(args[0], args[1:]...) != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not end well", strings.Join(args, " "))
		}
	}
}

// scriptShows waits until a page of the site has texts, because changes may take a second to come through.
func scriptShows(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) >= 2, "shows PATH TEXT...")
	visitor := scriptSite(ts).Visitor()
	shows := func() bool {
		body := visitor.Get(args[0]).Body
		return !slices.ContainsFunc(args[1:], func(text string) bool { return !strings.Contains(body, text) })
	}
	for deadline := time.Now().Add(nettest.Patience); !shows(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not show %q", args[0], args[1:])
		}
	}
}

// scriptConnect has a user give an app a key, which is then in the variable $CLIENT.
func scriptConnect(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 3, "connect USER CLIENT SCOPES")
	s := scriptSite(ts)
	ts.Setenv(args[1], s.App(args[1], args[2]).Connect(s.Person(args[0])).Key.Reveal())
}

// scriptAPI calls the API and wants a status, and texts in the answer, within
// the second that changes may take to come through.
func scriptAPI(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) >= 4, "api STATUS METHOD PATH KEY [TEXT...]")
	app := &testkit.App{Site: scriptSite(ts), Key: userkeys.Key(args[3])}
	var a testkit.Answer
	good := func() bool {
		var err error
		if a, err = app.Try(args[1], args[2]); err != nil {
			ts.Fatalf("%v", err)
		}
		if strconv.Itoa(a.StatusCode) != args[0] {
			return false
		}
		for _, text := range args[4:] {
			if !strings.Contains(a.Body, text) {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(nettest.Bound(time.Second)); !good(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s %s: %d %s", args[1], args[2], a.StatusCode, a.Body)
		}
	}
}

// scriptAsk asks as a web server does, over TCP or a Unix socket, about a request with a key, or without one where KEY
// is "none". It wants a status, and texts in the headers and the body, within the second that changes may take.
func scriptAsk(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) >= 6, "ask STATUS ADDRESS PATH METHOD TARGET KEY [TEXT...]")
	client, base := http.Client{}, "http://"+args[1]
	if socket, unix := strings.CutPrefix(args[1], "unix:"); unix {
		client.Transport, base = testkit.OverUnix(socket), "http://localhost"
	}
	r, err := http.NewRequestWithContext(ts.Value("test").(testing.TB).Context(), http.MethodGet, base+args[2], nil)
	ts.Check(err)
	for _, kind := range []string{"X-Forwarded-", "X-Original-"} {
		r.Header.Set(kind+"Method", args[3])
		r.Header.Set(kind+"Uri", args[4])
	}
	if args[5] != "none" {
		r.Header.Set(userkeys.KeyHeader, args[5])
	}
	var all bytes.Buffer
	good := func() bool {
		all.Reset()
		res, err := client.Do(r)
		ts.Check(err)
		defer res.Body.Close()
		ts.Check(res.Header.Write(&all))
		_, err = all.ReadFrom(res.Body)
		ts.Check(err)
		lacks := func(text string) bool { return !strings.Contains(all.String(), text) }
		return strconv.Itoa(res.StatusCode) == args[0] && !slices.ContainsFunc(args[6:], lacks)
	}
	for deadline := time.Now().Add(nettest.Bound(time.Second)); !good(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("ask %q: %s", args, all.String())
		}
	}
}

var asked = regexp.MustCompile(shownAddress + "|" + shownCode)

// scriptApproving runs a program that prints an address to open, or one and a code to type; a user approves there, and types
// what the page shows into the program. Its output is that of this command.
func scriptApproving(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, len(args) >= 2, "approving USER PROGRAM [ARG...]")
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	cmd := exec.CommandContext(ts.Value("test").(testing.TB).Context(), path, args[2:]...)
	cmd.Env = []string{appkeys.ConfigDirEnv + "=" + ts.Getenv(appkeys.ConfigDirEnv), appkeys.KeystoreEnv + "=" + ts.Getenv(appkeys.KeystoreEnv), cli.PassphraseEnv + "=" + ts.Getenv(cli.PassphraseEnv), "PATH=" + ts.Getenv("PATH"), testkit.NoKeychain}
	in, err := cmd.StdinPipe()
	ts.Check(err)
	approve := func(address, code string) {
		own := &ownSite{Site: scriptSite(ts)}
		own.alice = own.Person(args[0])
		if code != "" {
			ts.Check(own.activate("", code))
			return
		}
		sealed, err := own.approve(address)
		ts.Check(err)
		_, _ = io.WriteString(in, sealed+"\n") // the program says itself what it misses
		_ = in.Close()
	}
	var once sync.Once
	cmd.Stdout = &typist{to: ts.Stdout(), once: &once, approve: approve}
	cmd.Stderr = &typist{to: ts.Stderr(), once: &once, approve: approve}
	if err := cmd.Run(); (err != nil) != neg {
		ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
	}
}

// typist passes on what a program prints, and approves at the first address in it.
type typist struct {
	to      io.Writer
	seen    []byte
	once    *sync.Once
	approve func(address, code string)
}

func (w *typist) Write(p []byte) (int, error) {
	w.seen = append(w.seen, p...)
	if end := bytes.LastIndexByte(w.seen, '\n'); end >= 0 {
		if m := asked.FindSubmatch(w.seen[:end]); m != nil {
			w.once.Do(func() { w.approve(string(m[1]), string(m[3])) })
		}
	}
	return w.to.Write(p)
}

// scriptSignal sends what a service manager sends, and wants the program to end well.
func scriptSignal(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}
	want(ts, len(args) == 1 && signals[args[0]] != 0, "signal TERM|INT|KILL")
	for _, cmd := range ts.BackgroundCmds() {
		if err := cmd.Process.Signal(signals[args[0]]); !errors.Is(err, os.ErrProcessDone) { // wait says how it ended
			ts.Check(err)
		}
	}
}

// scriptExits runs a program and wants its exit code.
func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) >= 2, "exits CODE PROGRAM [ARG...]")
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		exit, ok := err.(*exec.ExitError)
		if !ok {
			ts.Fatalf("%s: %v", args[1], err)
		}
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s ended with %d, not %s", strings.Join(args[1:], " "), code, args[0])
	}
}
