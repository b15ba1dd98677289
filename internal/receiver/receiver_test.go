package receiver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/client"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func secret(t testing.TB, n int64) userkeys.PushSecret {
	t.Helper()
	s, err := userkeys.NewPushSecret(bytes.Repeat([]byte{7}, 32), n, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const body = `{"secret_key":"0123","url":"https://forum.example","title":"Forum","description":"","notifications":[` +
	`{"notification_type":2,"topic_title":"A topic","excerpt":"Hi <b>","username":"bob","url":"https://forum.example/t/5","client_id":"c1"}]}`

// rig is a receiver, and what it told.
type rig struct {
	*Receiver
	t    *testing.T
	mu   sync.Mutex
	told []Event
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t}
	cfg := Config{
		Path: "/push", Now: func() time.Time { return now },
		Secrets: func(string, string) ([]userkeys.PushSecret, error) {
			return []userkeys.PushSecret{secret(t, 1)}, nil
		},
		Told: func(e Event) { r.mu.Lock(); r.told = append(r.told, e); r.mu.Unlock() },
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.Receiver, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// push sends a body, signed with the first secret unless id is empty.
func (r *rig) push(id, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r.t.Helper()
	req := signed(r.t, id, body)
	for _, c := range change {
		c(req)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func signed(t testing.TB, id, body string) *http.Request {
	t.Helper()
	req := httptest.NewRequest("POST", "/push", strings.NewReader(body))
	if id != "" {
		h, err := userkeys.SignPush(id, now, []byte(body), secret(t, 1))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(userkeys.PushIDHeader, h.ID)
		req.Header.Set(userkeys.PushTimestampHeader, h.Timestamp)
		req.Header.Set(userkeys.PushSignatureHeader, h.Signature)
	}
	return req
}

func (r *rig) last() Event {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.told) == 0 {
		r.t.Fatal("nothing was told")
	}
	return r.told[len(r.told)-1]
}

func TestReceiverTakesAndRefuses(t *testing.T) {
	t.Parallel()
	unsigned := func(key string) func(*Config) {
		return func(c *Config) { c.AcceptUnsigned, c.SecretKey = true, key }
	}
	only := func(key string) func(*Config) {
		return func(c *Config) { unsigned(key)(c); c.Secrets = nil }
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		name   string
		config func(*Config)
		id     string
		body   string
		change func(*http.Request)
		status int
		result Result
		why    string
	}{
		{"a good push", nil, "m1", body, nil, 200, Verified, ""},
		{"not signed", nil, "", body, nil, 401, Refused, "the push is not signed"},
		{"a changed body", nil, "m1", body, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(body + " ")) }, 401, Refused, "was changed on the way"},
		{"SS21 an old one", func(c *Config) { c.Now = func() time.Time { return now.Add(6 * time.Minute) } }, "m1", body, nil, 401, Refused, "sent 6m0s ago"},
		{"not JSON", nil, "m1", "x", nil, 400, Refused, "not the JSON of a push"},
		{"too large", nil, "m1", body + strings.Repeat(" ", 256<<10), nil, 413, Refused, "larger than"},
		{"another path", nil, "m1", body, func(r *http.Request) { r.URL.Path = "/pu\u202esh" }, 404, Refused, `pushes come to /push, not to "/pu\u202esh"`},
		{"every path", func(c *Config) { c.Path = "/" }, "m1", body, func(r *http.Request) { r.URL.Path = "/other" }, 200, Verified, ""},
		{"a GET", nil, "m1", body, func(r *http.Request) { r.Method = "GET" }, 405, Refused, "a push is a POST"},
		{"Discourse, taken", unsigned(""), "", body, nil, 200, Unsigned, ""},
		{"Discourse, with its key", unsigned("0123"), "", body, nil, 200, Unsigned, ""},
		{"Discourse, with another key", unsigned("01234"), "", body, nil, 401, Refused, "does not have the site's secret_key"},
		{"unsigned may pass, but a bad signature does not", unsigned(""), "m1", body, set("Webhook-Id", "m2"), 401, Refused, "was changed on the way"},
		{"nor half of one", unsigned(""), "", body, set("Webhook-Id", "m2"), 401, Refused, "must be seconds"},
		{"a signed one where nothing can verify", only(""), "m1", body, nil, 200, Unsigned, ""},
		{"secrets that cannot be looked up", func(c *Config) {
			c.Secrets = func(string, string) ([]userkeys.PushSecret, error) { return nil, errors.New("database\nout") }
		}, "m1", body, nil, 503, Broken, "cannot be looked up now: database\ufffdout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.config)
			change := c.change
			if change == nil {
				change = func(*http.Request) {}
			}
			w := r.push(c.id, c.body, change)
			e := r.last()
			if w.Code != c.status || e.Status != c.status || e.Result != c.result || !strings.Contains(e.Why, c.why) || c.why == "" && e.Why != "" {
				t.Errorf("answered %d, told %+v; want %d, %s, %q", w.Code, e, c.status, c.result, c.why)
			}
			if strings.ContainsAny(e.Line(), "\n\u202e") || strings.Contains(e.Line(), "0123") || strings.Contains(w.Body.String(), "database") {
				t.Errorf("shown %q, answered %q", e.Line(), w.Body)
			}
			if got := w.Header().Get("Allow"); (got == "POST") != (c.status == 405) {
				t.Errorf("Allow: %q", got)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  Config
		says string
	}{
		"nothing to verify with": {Config{Path: "/"}, "no secret to verify pushes with"},
		"no path":                {Config{AcceptUnsigned: true}, "begins with a slash"},
		"faults":                 {Config{AcceptUnsigned: true, Path: "/", Faults: Faults{Status: 200}}, "from 300 to 599"},
	} {
		if _, err := New(c.cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.push("m1", body)
	if got, want := r.last().Line(), "2030-01-02 03:04:05Z verified  200  Forum https://forum.example: bob: A topic - Hi <b> https://forum.example/t/5  [m1]"; got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	e := Event{At: now, Result: Failed, Status: 503, Title: "F", Why: "on purpose", LeftOut: 2}
	for i := range 5 {
		e.Notes = append(e.Notes, Note{Text: fmt.Sprint("n", i)})
	}
	if got, want := e.Line(), "2030-01-02 03:04:05Z failed    503  F: n0; n1; n2; and 2 more; 2 left out  (on purpose)"; got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	e = Event{At: now, Result: Failed, Title: "F", Why: "on purpose"}
	if got, want := e.Line(), "2030-01-02 03:04:05Z no answer      F  (on purpose)"; got != want {
		t.Errorf("it hangs: %q\nwant %q", got, want)
	}
}

// A push is kept before it is answered, once, and is known again after a restart.
func TestStoreKeepsEachPushOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pushes")
	start := func() *rig {
		store, err := OpenStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		return newRig(t, func(c *Config) { c.Store, c.AcceptUnsigned = store, true })
	}
	files := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	r := start()
	if w := r.push("m1", body); w.Code != 200 || r.last().Result != Verified || len(files()) != 1 || r.last().File != files()[0] {
		t.Fatalf("%d %+v %v", w.Code, r.last(), files())
	}
	later := strings.Replace(body, "A topic", "Read meanwhile", 1) // the id counts
	for _, again := range []*rig{r, start()} {
		if w := again.push("m1", later); w.Code != 200 || again.last().Result != Duplicate || again.last().Why != "was here before" {
			t.Errorf("again: %d %+v", w.Code, again.last())
		}
	}
	other := strings.ReplaceAll(body, "forum.example", "other.example")
	elsewhere := start()
	if elsewhere.push("m1", other); elsewhere.last().Result != Verified {
		t.Errorf("the same id of another site: %+v", elsewhere.last())
	}
	for range 2 {
		if r.push("", body); r.last().Result != Unsigned {
			t.Errorf("unsigned: %+v", r.last())
		}
	}
	if got := files(); len(got) != 4 {
		t.Fatalf("kept %v", got)
	}
	text, err := os.ReadFile(filepath.Join(dir, "push-"+pushName("https://forum.example", "m1")))
	if err != nil || bytes.Count(text, []byte("\n")) != 1 || text[len(text)-1] != '\n' {
		t.Fatalf("%q, %v", text, err)
	}
	var kept struct {
		ID, Site      string
		Verified      bool
		Notifications []map[string]any
		Body          json.RawMessage
	}
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(body, string(kept.Body)); diff != "" || kept.ID != "m1" || !kept.Verified || kept.Notifications[0]["client_id"] != "c1" {
		t.Errorf("%s\n%s", diff, text)
	}
	info, err := os.Stat(files()[0])
	if err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("others can read it: %v, %v", info.Mode(), err)
	}
}

// A later try that has a second client's notification is not the same push for that client, before a restart and after it.
func TestStoreAddsWhatALaterTryHas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func() *rig {
		store, err := OpenStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		return newRig(t, func(c *Config) { c.Store = store })
	}
	kept := func(id string) (clients []string) {
		text, err := os.ReadFile(filepath.Join(dir, "push-"+pushName("https://forum.example", id)))
		if err != nil {
			t.Fatal(err)
		}
		var in stored
		if err := json.Unmarshal(text, &in); err != nil {
			t.Fatal(err)
		}
		for _, n := range in.Notifications {
			clients = append(clients, n.ClientID)
		}
		return clients
	}
	first, rest, _ := strings.Cut(body, "]}")
	_, note, _ := strings.Cut(first, "[")
	both := first + "," + strings.Replace(note, `"c1"`, `"c2"`, 1) + "]}" + rest
	r := start()
	for id, later := range map[string]*rig{"m1": r, "m2": start()} {
		if r.push(id, body); r.last().Result != Verified {
			t.Fatalf("%+v", r.last())
		}
		if later.push(id, both); later.last().Result != Verified || !slices.Equal(kept(id), []string{"c1", "c2"}) {
			t.Errorf("%s: %+v, kept for %v", id, later.last(), kept(id))
		}
		if later.push(id, both); later.last().Result != Duplicate {
			t.Errorf("%s once more: %+v", id, later.last())
		}
	}
	r.push("m3", body)
	r.push("m3", both)
	if told := r.last().Notes; len(told) != 1 || told[0].ClientID != "c2" {
		t.Errorf("it tells of %+v, want what is new", told)
	}
}

// A client_id may be anything that an app chose. It stays what it is for programs, and steers no terminal.
func TestEventsSteerNoTerminal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *Config) { c.Store = store })
	const evil = "a\u009b31m\u202eb\x7f\U000e0041\n\u00e9"
	named, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	if r.push("m1", strings.Replace(body, `"c1"`, string(named), 1)); r.last().Result != Verified || r.last().Notes[0].ClientID != evil {
		t.Fatalf("%+v", r.last())
	}
	file, err := os.ReadFile(r.last().File)
	if err != nil {
		t.Fatal(err)
	}
	for what, line := range map[string][]byte{"told": r.last().JSON(), "kept": file} {
		text, ok := strings.CutSuffix(string(line), "\n")
		if !ok || text != userkeys.Printable(text) {
			t.Errorf("%s: %q", what, line)
		}
		var in struct{ Notifications []Note }
		if err := json.Unmarshal(line, &in); err != nil || in.Notifications[0].ClientID != evil {
			t.Errorf("%s: %+v, %v", what, in, err)
		}
	}
}

func pushName(site, id string) string {
	return strings.TrimPrefix(filepath.Base((&Store{}).name(client.Push{Site: site, ID: id})), "push-")
}

// What cannot be kept is not acknowledged, and the next try is not taken for a duplicate.
func TestStoreThatFailsLosesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pushes")
	store, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *Config) { c.Store = store })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if w := r.push("m1", body); w.Code != 503 || w.Header().Get("Retry-After") != "5" || r.last().Result != Broken || strings.Contains(w.Body.String(), dir) {
		t.Errorf("%d %v %q %+v", w.Code, w.Header(), w.Body, r.last())
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if w := r.push("m1", body); w.Code != 200 || r.last().Result != Verified {
		t.Errorf("%d %+v", w.Code, r.last())
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(filepath.Join(file, "below")); err == nil {
		t.Error("a folder below a file was opened")
	}
}

// Many at once, each twice: each is kept once, and every answer is a success or asks for another try.
func TestStoreUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *Config) { c.Store = store })
	var wg sync.WaitGroup
	for i := range 200 {
		req := signed(t, fmt.Sprint("m", i/2), body)
		wg.Go(func() {
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			if w.Code != 200 && w.Code != 503 {
				t.Errorf("answered %d: %s", w.Code, w.Body)
			}
		})
	}
	wg.Wait()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 100 {
		t.Errorf("%d files, %v", len(files), err)
	}
	taken := 0
	for _, e := range r.told {
		if e.Result == Verified {
			taken++
		}
	}
	if taken != 100 {
		t.Errorf("%d taken", taken)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	answers := func(f Faults, rolls ...float64) (out []int) {
		i := -1
		r := newRig(t, func(c *Config) {
			c.Faults, c.Roll = f, func() float64 { i++; return rolls[i%len(rolls)] }
		})
		for n := range 4 {
			w := r.push(fmt.Sprint("m", n), body)
			out = append(out, w.Code)
			if failed := w.Code != 200; failed != (r.last().Result == Failed) || failed && r.last().Why != "on purpose" {
				t.Errorf("%d is told as %+v", w.Code, r.last())
			}
		}
		return out
	}
	for _, c := range []struct {
		name  string
		f     Faults
		rolls []float64
		want  []int
	}{
		{"none", Faults{}, []float64{0}, []int{200, 200, 200, 200}},
		{"always", Faults{Status: 503}, []float64{0.9}, []int{503, 503, 503, 503}},
		{"the first two", Faults{Status: 500, First: 2}, []float64{0}, []int{500, 500, 200, 200}},
		{"a share", Faults{Status: 429, Rate: 0.5}, []float64{0.49, 0.5}, []int{429, 200, 429, 200}},
		{"the first, and a share of the others", Faults{Status: 410, First: 1, Rate: 0.5}, []float64{0.9, 0.1, 0.9, 0.1}, []int{410, 410, 200, 410}},
	} {
		if got := answers(c.f, c.rolls...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	r := newRig(t, func(c *Config) {
		c.Faults = Faults{Status: 308, Moved: "https://new.example/push", After: 1500 * time.Millisecond, First: 1}
	})
	if w := r.push("m1", body); w.Code != 308 || w.Header().Get("Location") != "https://new.example/push" || w.Header().Get("Retry-After") != "2" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := r.push("m1", body); w.Code != 200 || r.last().Result != Verified {
		t.Errorf("what failed on purpose is taken for a duplicate: %d %+v", w.Code, r.last())
	}
	if w := r.push("", body); w.Code != 401 {
		t.Errorf("a receiver that fails takes what is not signed: %d", w.Code)
	}
}

func TestFaultsCheck(t *testing.T) {
	t.Parallel()
	for says, f := range map[string]Faults{
		"from 300 to 599":        {Status: 204},
		"answers with no status": {Status: 503, Hang: true},
		"a share of them":        {Status: 503, Rate: 1.5},
		"is not negative":        {Status: 503, First: -1},
		"a time to wait":         {Delay: -1},
		"belong to a failure":    {After: time.Second},
		"not said how":           {Rate: 0.5},
	} {
		if err := f.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", f, err, says)
		}
	}
	for _, f := range []Faults{{}, {Hang: true, First: 3}, {Status: 599, Rate: 1, After: time.Hour}, {Delay: time.Hour}} {
		if err := f.Check(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// running is a receiver behind a real socket.
func (r *rig) running(secure *tls.Config) (address string, stop func() error) {
	r.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, ln, secure) }()
	r.t.Cleanup(cancel)
	return ln.Addr().String(), func() error { cancel(); return <-ended }
}

// What hangs never answers, not even at the end, which comes at once; what is slow answers late.
func TestHangAndDelay(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Faults = Faults{Hang: true, First: 1, Delay: 50 * time.Millisecond} })
	address, stop := r.running(nil)
	send := func(id string) (int, error) {
		req := signed(t, id, body)
		out, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+address+"/push", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		out.Header = req.Header
		resp, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		return resp.StatusCode, nil
	}
	hung := make(chan error, 1)
	go func() {
		_, err := send("m1")
		hung <- err
	}()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		n := len(r.told)
		r.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing came")
		}
	}
	if e := r.last(); e.Result != Failed || e.Status != 0 {
		t.Errorf("told %+v", e)
	}
	began := time.Now()
	if status, err := send("m2"); status != 200 || err != nil || time.Since(began) < 50*time.Millisecond {
		t.Errorf("the second: %d, %v", status, err)
	}
	select {
	case err := <-hung:
		t.Fatalf("it answered: %v", err)
	default:
	}
	if err := stop(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if err := <-hung; err == nil {
		t.Error("what hangs was answered at the end")
	}
}

// F33: who sends its headers too slowly, or too many, is cut off.
func TestRunIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	address, stop := r.running(nil)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, "POST /push HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10)) // it may be cut off while this is sent
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.Contains(line, "431") {
		t.Errorf("answered %q", line)
	}
	slow, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	_, _ = io.WriteString(slow, "POST /push HTTP/1.1\r\nHost:")
	if err := slow.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(slow); err != nil {
		t.Errorf("slow headers are waited for: %v", err)
	}
	if len(r.told) != 0 {
		t.Errorf("told %+v", r.told)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestRunByTLS(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	address, stop := r.running(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	req := signed(t, "m1", body)
	out, err := http.NewRequestWithContext(t.Context(), "POST", "https://"+address+"/push", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	out.Header = req.Header
	resp, err := transport.RoundTrip(out)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Proto != "HTTP/2.0" || r.last().Result != Verified {
		t.Errorf("%s %s, %+v", resp.Proto, resp.Status, r.last())
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
