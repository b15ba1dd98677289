package docs_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"go/format"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/internal/testkit/nettest"
)

const pushLines = 125

var pushBlock = regexp.MustCompile("(?ms)^```[a-z]+ ([a-z]+\\.[a-z]+)\n(.*?)^```$")

// pushPage is push.md, and its blocks by the name of their file.
func pushPage(t *testing.T) (string, map[string]string) {
	t.Helper()
	text, blocks := read(t, "push.md"), map[string]string{}
	for _, m := range pushBlock.FindAllSubmatch(text, -1) {
		blocks[string(m[1])] = string(m[2])
	}
	return string(text), blocks
}

func TestPushPage(t *testing.T) {
	t.Parallel()
	text, blocks := pushPage(t)
	if n := strings.Count(text, "\n"); n > pushLines {
		t.Errorf("push.md has %d lines, limit %d", n, pushLines)
	}
	if n := strings.Count(text, "\n```"); n != 2*len(blocks) || len(blocks) != 6 {
		t.Errorf("push.md has %d fences, and %d blocks that the tests look at", n, len(blocks))
	}
	formatted, err := format.Source([]byte(blocks["receive.go"]))
	if err != nil || string(formatted) != blocks["receive.go"] {
		t.Errorf("receive.go is not formatted by gofmt: %v\n%s", err, formatted)
	}
}

// The example is genuine: its signature is the one of its body by the secret that stands there.
func TestPushExample(t *testing.T) {
	t.Parallel()
	text, blocks := pushPage(t)
	secret, err := userkeys.ParsePushSecret(regexp.MustCompile(`whsec_[A-Za-z0-9+/]{43}=`).FindString(text))
	if err != nil {
		t.Fatal(err)
	}
	h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(blocks["headers.txt"] + "\n"))).ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(strings.TrimSuffix(blocks["body.json"], "\n"))
	seconds, err := strconv.ParseInt(h.Get(userkeys.PushTimestampHeader), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	want, err := userkeys.SignPush(h.Get(userkeys.PushIDHeader), time.Unix(seconds, 0), body, secret)
	if err != nil {
		t.Fatal(err)
	}
	got := userkeys.PushHeaders{ID: h.Get(userkeys.PushIDHeader), Timestamp: h.Get(userkeys.PushTimestampHeader), Signature: h.Get(userkeys.PushSignatureHeader)}
	if diff := cmp.Diff(want, got); diff != "" || !json.Valid(body) {
		t.Errorf("the example is not what the site sends (-want +page):\n%s", diff)
	}
}

// receivers are the programs of push.md, and how each is run.
var receivers = []struct {
	file string
	find func(t *testing.T) []string
}{
	{"receive.go", findGo},
	{"receive.mjs", findNodePackages},
	{"receive.py", findPython},
}

// findNodePackages finds the Node that has the npm packages beside it.
func findNodePackages(t *testing.T) []string {
	t.Helper()
	if _, err := os.Stat("../testdata/apps/node_modules/standardwebhooks"); err != nil {
		return without(t, "npm package standardwebhooks")
	}
	return findNode(t)
}

// receiverRun is a program of the page that runs.
type receiverRun struct {
	t       *testing.T
	address string
	mu      sync.Mutex
	out     bytes.Buffer
}

func (r *receiverRun) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

func (r *receiverRun) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

// startReceiver runs a program of the page until the test ends.
func startReceiver(t *testing.T, file string, command []string, secret userkeys.PushSecret) *receiverRun {
	t.Helper()
	_, blocks := pushPage(t)
	dir := t.TempDir()
	name := filepath.Join(dir, file)
	if err := os.WriteFile(name, []byte(blocks[file]), 0o600); err != nil {
		t.Fatal(err)
	}
	if command = append(command, name); file == "receive.go" {
		command = []string{builtGo(t, file, blocks[file])}
	}
	packages, err := filepath.Abs("../testdata/apps/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if file == "receive.mjs" {
		if err := os.Symlink(packages, filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
	}
	address := nettest.ReserveAddress(t)
	r := &receiverRun{t: t, address: address}
	cmd := exec.Command(command[0], command[1:]...)
	_, port, _ := strings.Cut(address, ":")
	cmd.Env = append(os.Environ(), "PUSH_SECRET="+secret.Reveal(), "PORT="+port, "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdout, cmd.Stderr = r, r
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // it runs until it is killed
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close() // it listens
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not listen:\n%s", r.said())
		}
	}
}

// send sends a push and gives the status; 0 if the program cut it off.
func (r *receiverRun) send(h userkeys.PushHeaders, body string) int {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), "POST", "http://"+r.address+"/push", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for name, value := range map[string]string{userkeys.PushIDHeader: h.ID, userkeys.PushTimestampHeader: h.Timestamp, userkeys.PushSignatureHeader: h.Signature} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close() // the status counts
	return resp.StatusCode
}

// The programs of the page take what is signed, act on it once, and refuse what is forged, changed, old (SS21) or another app's (T31).
func TestPushReceivers(t *testing.T) {
	t.Parallel()
	var secrets []userkeys.PushSecret
	for id := range int64(2) {
		s, err := userkeys.NewPushSecret(bytes.Repeat([]byte{5}, 32), id+1, time.Unix(1, 0))
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, s)
	}
	mine, other := secrets[0], secrets[1]
	body := func(topic string) string {
		return fmt.Sprintf(`{"url":"https://forum.example","title":"Forum","description":"","notifications":[{"topic_title":%q,"url":"https://forum.example/t/5","client_id":"c1"}]}`, topic)
	}
	sign := func(id string, ago time.Duration, body string, by ...userkeys.PushSecret) userkeys.PushHeaders {
		h, err := userkeys.SignPush(id, time.Now().Add(-ago), []byte(body), by...)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for _, p := range receivers {
		t.Run(p.file, func(t *testing.T) {
			t.Parallel()
			r := startReceiver(t, p.file, p.find(t), mine)
			large := body(strings.Repeat("x", 257<<10))
			changed := sign("m4", 0, body("a"), mine)
			changed.ID = "m5"
			for _, c := range []struct {
				name string
				h    userkeys.PushHeaders
				body string
				want int // 0: not a success
			}{
				{"signed", sign("m1", 0, body("one"), mine), body("one"), 200},
				{"again, as after a lost answer", sign("m1", time.Second, body("one"), mine), body("one"), 200},
				{"among signatures for other keys", sign("m2", 0, body("t\u00fcrk\u00e7e"), other, mine), body("t\u00fcrk\u00e7e"), 200},
				{"not signed", userkeys.PushHeaders{}, body("bad"), 401},
				{"T31 another app's", sign("m3", 0, body("bad"), other), body("bad"), 401},
				{"a changed body", sign("m4", 0, body("good"), mine), body("bad"), 401},
				{"a changed id", changed, body("a"), 401},
				{"SS21 an old one", sign("m6", 6*time.Minute, body("bad"), mine), body("bad"), 401},
				{"one from ahead", sign("m7", -6*time.Minute, body("bad"), mine), body("bad"), 401},
				{"too large", sign("m8", 0, large, mine), large, 0},
				{"signed, after all that", sign("m9", 0, body("last"), mine), body("last"), 200},
			} {
				got := r.send(c.h, c.body)
				if c.want != 0 && got != c.want || c.want == 0 && got >= 200 && got < 300 {
					t.Errorf("%s: answered %d, want %d\n%s", c.name, got, c.want, r.said())
				}
			}
			want := "Forum: one https://forum.example/t/5\nForum: t\u00fcrk\u00e7e https://forum.example/t/5\nForum: last https://forum.example/t/5\n"
			for deadline := time.Now().Add(10 * time.Second); r.said() != want; time.Sleep(10 * time.Millisecond) { // what it shows comes after the answer
				if time.Now().After(deadline) {
					t.Fatalf("it showed\n%s", r.said())
				}
			}
		})
	}
}
