package userkeys_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"userkeys"
)

// judge is a program for Node: for each line, what a browser's address bar
// makes of it. Browsers and Node read addresses by the same standard (WHATWG URL).
const judge = `
const lines = require('readline').createInterface({input: process.stdin, crlfDelay: Infinity});
const out = [];
lines.on('line', line => {
  try {
    const u = new URL(line);
    out.push([u.protocol, u.hostname, u.port, u.pathname, u.search, u.username + u.password + u.hash].join('\t'));
  } catch (e) { out.push('!'); }
  if (out.length >= 4096) process.stdout.write(out.splice(0).join('\n') + '\n');
});
lines.on('close', () => { if (out.length) process.stdout.write(out.join('\n') + '\n'); });
`

// TestRedirectAgreesWithBrowsers (RD47): every address that is accepted is for a browser
// the same scheme, host and port that the page showed, its path and query stay
// what they were, and the composed way back leads to the same place. Random addresses go
// through the parser, a million with USERKEYS_LONG, and all that it accepts through Node.
func TestRedirectAgreesWithBrowsers(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node is not installed")
		}
		t.Skip("node is not installed: nothing compares our reading of addresses with a browser's")
	}
	rounds := 50_000
	if os.Getenv("USERKEYS_LONG") != "" {
		rounds = 1_000_000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := &addresses{r: rand.New(rand.NewPCG(seed, 1))}
	for _, v := range vectorLines(t, "redirects.txt") {
		if f := strings.Fields(v.text); len(f) == 3 && f[1] == "accept" {
			g.known = append(g.known, f[2])
		}
	}

	cmd := exec.CommandContext(t.Context(), "node", "-e", judge)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	accepted := make(chan userkeys.Redirect, 1<<16)
	go g.feed(rounds, accepted, stdin)
	compared := compareWithNode(t, accepted, stdout)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d of %d addresses accepted and compared", compared, rounds)
	if compared < rounds/100 {
		t.Errorf("only %d of %d addresses were accepted: this proves nothing", compared, rounds)
	}
}

// feed writes every accepted address and its composed form, and tells which they were.
func (g *addresses) feed(rounds int, accepted chan<- userkeys.Redirect, w io.WriteCloser) {
	b := bufio.NewWriterSize(w, 1<<16)
	for range rounds {
		if r, err := userkeys.ParseRedirect(g.next()); err == nil {
			_, _ = b.WriteString(r.String() + "\n" + r.With("payload", "a+/=\n") + "\n")
			accepted <- r
		}
	}
	_ = b.Flush()
	_ = w.Close()
	close(accepted)
}

func compareWithNode(t *testing.T, accepted <-chan userkeys.Redirect, stdout io.Reader) int {
	t.Helper()
	lines := bufio.NewScanner(stdout)
	compared, failed := 0, 0
	for r := range accepted {
		for _, text := range []string{r.String(), r.With("payload", "a+/=\n")} {
			if !lines.Scan() {
				t.Fatalf("node ended early: %v", lines.Err())
			}
			if problem := disagreement(r, text, lines.Text()); problem != "" && failed < 20 {
				failed++
				t.Errorf("%s: %s", text, problem)
			}
		}
		compared++
	}
	return compared
}

// disagreement says in what Node reads text otherwise than r.
func disagreement(r userkeys.Redirect, text, node string) string {
	if node == "!" {
		if strings.Contains(r.Host(), "xn--") {
			return "" // Node also knows which characters names may have; it opens nothing, which is safe
		}
		return "node does not open it"
	}
	f := strings.Split(node, "\t")
	if len(f) != 6 {
		return "node says " + node
	}
	host := strings.ToLower(f[1])
	if f[2] != "" {
		host += ":" + f[2]
	}
	if f[0] != r.Scheme()+":" || host != r.Host() || f[5] != "" {
		return fmt.Sprintf("node reads %q, we show %s and %s", f, r.Scheme(), r.Host())
	}
	_, rest, _ := strings.Cut(text, ":")
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		i := strings.IndexAny(after+"?", "/?")
		rest = after[i:]
	}
	path, query, has := strings.Cut(rest, "?")
	if web := r.Scheme() == "http" || r.Scheme() == "https"; web {
		if path == "" {
			path = "/"
		}
		query = strings.ReplaceAll(query, "'", "%27") // the standard's one change; it means the same
	}
	search := "?" + query
	if !has || query == "" {
		search = "" // Node shows an empty query as none
	}
	if f[3] != path || f[4] != search {
		return fmt.Sprintf("node reads path %q and query %q", f[3], f[4])
	}
	return ""
}

// addresses makes addresses that are nearly right: put together from pieces
// that parsers quarrel about, or known good ones with a few bytes changed.
type addresses struct {
	r     *rand.Rand
	known []string
}

var (
	schemePieces = []string{"http", "https", "https", "HTTPS", "hTTp", "discourse", "web+app", "com.example.app", "a.b", "ftp", "ws", "file", "javascript", "x"}
	slashPieces  = []string{"://", "://", "://", "://", ":/", ":", ":///", ":\\\\", ":/\\", "//"}
	labelPieces  = []string{"app", "example", "a", "A1", "a-b", "-a", "a_b", "xn--bcher-kva", "xn--a", "xn--", "127", "0", "1", "256", "0x7f", "0x", "08", "com", "1e1", "a--b", "ab--c", "XN--BCHER-KVA"}
	hostPieces   = []string{"127.0.0.1", "[::1]", "[1::2]", "[::ffff:1.2.3.4]", "[::1%25e]", "localhost", "1.2.3", "0177.0.0.1", "[2001:db8::1]", "[2001:DB8::1]", "[0::1]", "auth_redirect", "a.example"}
	portPieces   = []string{"", "", "", ":443", ":80", ":8080", ":0443", ":", ":0", ":65536", ":65535", ":1", ":+1", ":1e1"}
	pathPieces   = []string{"/", "/", "a", ".", "..", "%2e", "%2E", "%2f", "%00", "cb", "\\", ";", "@", ":", "//", "'", "(", "*", "~", "%41", "%", "[", "|", "^", "C:", "C|"}
	queryPieces  = []string{"?", "&", "=", "a", "payload", "'", "/", "?", "%27", "%20", "+", "!", ";", "#", "%zz", "@", ":", "$", "state=1"}
	strangeBytes = "\t\r\x00 !\"#$%&'()*+,-./0129:;<=>?@AZ[\\]^_`az{|}~\x7f\x80\xff"
)

func (g *addresses) pick(pieces []string) string { return pieces[g.r.IntN(len(pieces))] }

func (g *addresses) next() string {
	var s string
	if g.r.IntN(2) == 0 {
		s = g.pick(g.known)
	} else {
		s = g.assemble()
	}
	for range g.r.IntN(8) / 4 * g.r.IntN(4) {
		s = g.mutate(s)
	}
	return strings.ReplaceAll(s, "\n", "\t") // lines separate addresses
}

func (g *addresses) assemble() string {
	var b strings.Builder
	b.WriteString(g.pick(schemePieces) + g.pick(slashPieces))
	if g.r.IntN(20) == 0 {
		b.WriteString("u@")
	}
	if g.r.IntN(3) == 0 {
		b.WriteString(g.pick(hostPieces))
	} else {
		b.WriteString(g.pick(labelPieces))
		for range g.r.IntN(4) {
			b.WriteString("." + g.pick(labelPieces))
		}
	}
	b.WriteString(g.pick(portPieces))
	if g.r.IntN(3) > 0 {
		b.WriteString("/")
		for range g.r.IntN(5) {
			b.WriteString(g.pick(pathPieces))
		}
	}
	if g.r.IntN(3) == 0 {
		b.WriteString("?")
		for range g.r.IntN(5) {
			b.WriteString(g.pick(queryPieces))
		}
	}
	return b.String()
}

// mutate changes, inserts, removes or repeats somewhere in s.
func (g *addresses) mutate(s string) string {
	if s == "" {
		return "a"
	}
	i := g.r.IntN(len(s))
	strange := string(strangeBytes[g.r.IntN(len(strangeBytes))])
	switch g.r.IntN(5) {
	case 0:
		return s[:i] + strange + s[i+1:]
	case 1:
		return s[:i] + strange + s[i:]
	case 2:
		return s[:i] + s[i+1:]
	case 3:
		return s[:i] + s[g.r.IntN(i+1):]
	}
	return s[:i] + string(rune(g.r.IntN(128))) + s[i:]
}
