package docs_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"go/format"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"userkeys/internal/sitecmd/sitedata"
	"userkeys/internal/sso"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/testkit/provider"
	"userkeys/internal/wiring"
)

// websiteBlocks are the blocks of any-website.md by the name of their file.
func websiteBlocks(t *testing.T) map[string]string {
	t.Helper()
	blocks := map[string]string{}
	for _, m := range pushBlock.FindAllSubmatch(read(t, "any-website.md"), -1) {
		blocks[string(m[1])] = string(m[2])
	}
	return blocks
}

// connector is one of the programs of any-website.md that make a website a provider of DiscourseConnect.
type connector struct {
	file string
	find func(t *testing.T) []string
	// call runs the function of the program with the arguments that follow, and prints its answer; the Go program is
	// built with it.
	call []string
}

var connectors = []connector{
	{"connect.py", findPython, []string{
		"-c", `import sys, connect
sso, sig, id, name, email = sys.argv[1:]
sys.stdout.write(connect.answer(sso, sig, {"id": id, "name": name, "email": email}) or "refused")`,
	}},
	{"connect.php", func(t *testing.T) []string { return find(t, "php") }, []string{
		"-d", "arg_separator.output=&amp;", "-r", `require "connect.php"; // as programs such as DokuWiki have it
echo answer($argv[1], $argv[2], ["id" => $argv[3], "name" => $argv[4], "email" => $argv[5]]) ?? "refused";`, "--",
	}},
	{"connect.rb", func(t *testing.T) []string { return find(t, "ruby") }, []string{
		"-r", "./connect", "-e", `sso, sig, id, name, email = ARGV
print answer(sso, sig, { id: id, name: name, email: email }) || "refused"`,
	}},
	{"connect.mjs", findNode, []string{
		"--input-type=module", "-e", `import { answer } from "./connect.mjs";
const [sso, sig, id, name, email] = process.argv.slice(1);
process.stdout.write(answer(sso, sig, { id, name, email }) ?? "refused");`, "--",
	}},
	{"connect.go", findGo, []string{`
func main() {
	to, ok := answer(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	if !ok {
		to = "refused"
	}
	_, _ = os.Stdout.WriteString(to)
}
`}},
}

// find is the command of an interpreter.
func find(t *testing.T, name string) []string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		return without(t, name)
	}
	return []string{name}
}

const (
	pageCallback = "https://www.example/user-api-key/login/site/callback"
	theirName    = "Ann & \u00dcnal + co"
)

var connectorBuilds atomic.Int64

// at makes the program answer at callback, and returns its function for the user 17.
func (c connector) at(t *testing.T, callback string) func(sso, sig string) string {
	t.Helper()
	command := c.find(t)
	text := strings.ReplaceAll(websiteBlocks(t)[c.file], pageCallback, callback)
	if !strings.Contains(text, callback) {
		t.Fatalf("%s does not have the address %s", c.file, pageCallback)
	}
	dir := t.TempDir()
	if c.file == "connect.go" {
		name := "connect" + strconv.FormatInt(connectorBuilds.Add(1), 10) + ".go"
		command = []string{builtGo(t, name, text+c.call[0])}
	} else {
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		command = append(command, c.call...)
	}
	return func(sso, sig string) string {
		args := append(command[1:len(command):len(command)], sso, sig, "17", theirName, "ann@mail.example")
		cmd := exec.CommandContext(t.Context(), command[0], args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "SSO_SECRET="+provider.ConnectSecret, "PYTHONDONTWRITEBYTECODE=1")
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil {
			return "failed: " + err.Error()
		}
		return string(out)
	}
}

func signed(payload string) (sso, sig string) {
	sso = base64.StdEncoding.EncodeToString([]byte(payload))
	return sso, provider.SignConnect(sso)
}

// TestFifteenLines runs the programs of the page on what userkeys asks, and on what an attacker would.
func TestFifteenLines(t *testing.T) {
	t.Parallel()
	for _, c := range connectors {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			answer := c.at(t, pageCallback)
			ask := func(returnTo string) string {
				return url.Values{"nonce": {"cb68251eefb5211e58c00ff1395f0c0b"}, "return_sso_url": {returnTo}}.Encode()
			}
			sso, sig := signed(ask(pageCallback))
			checkAnswer(t, answer(sso, sig))
			other, otherSig := signed(ask(pageCallback + "&x=1"))
			for name, got := range map[string]string{
				"no signature":              answer(sso, ""),
				"a wrong signature":         answer(sso, strings.Repeat("0", 64)),
				"a signature that is short": answer(sso, sig[:63]),
				"no plain text":             answer(sso, "\u00fc"+sig[1:]),
				"in capitals":               answer(sso, strings.ToUpper(sig)),
				"of something else":         answer(other, sig),
				"another address":           answer(signed(ask("https://evil.example/callback"))),
				"an address that begins so": answer(signed(ask(pageCallback + ".evil.example"))),
				"more than the address":     answer(other, otherSig),
				"no address":                answer(signed("nonce=1")),
				"a list of addresses":       answer(signed("nonce=1&return_sso_url[]=" + url.QueryEscape(pageCallback))),
				"nothing":                   answer("", provider.SignConnect("x")),
			} {
				if got != "refused" {
					t.Errorf("%s: %q", name, got)
				}
			}
		})
	}
}

// checkAnswer holds an answer of the programs against the rules of DiscourseConnect.
func checkAnswer(t *testing.T, got string) {
	t.Helper()
	to, err := url.Parse(got)
	if err != nil || !strings.HasPrefix(got, pageCallback+"?") {
		t.Fatalf("%q: %v", got, err)
	}
	sso := to.Query().Get("sso")
	mac := hmac.New(sha256.New, []byte(provider.ConnectSecret))
	_, _ = mac.Write([]byte(sso)) // a hash never fails
	if sig := to.Query().Get("sig"); sig != hex.EncodeToString(mac.Sum(nil)) || len(to.Query()) != 2 {
		t.Errorf("the signature %q is not that of %q", sig, sso)
	}
	text, err := base64.StdEncoding.DecodeString(sso)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := url.ParseQuery(string(text))
	want := url.Values{
		"nonce": {"cb68251eefb5211e58c00ff1395f0c0b"}, "return_sso_url": {pageCallback},
		"external_id": {"17"}, "username": {theirName}, "email": {"ann@mail.example"},
	}
	if err != nil || fields.Encode() != want.Encode() {
		t.Errorf("the answer is %v, want %v (%v)", fields, want, err)
	}
}

// TestFifteenLinesSignPeopleIn goes from an app's question to a call at the website, which finds its user, through
// each of the programs: the person meets no password here.
func TestFifteenLinesSignPeopleIn(t *testing.T) {
	t.Parallel()
	for _, c := range connectors {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			c.find(t)
			var answer func(sso, sig string) string
			website := testkit.NewUpstream(t)
			s := testkit.NewSite(t, dbtest.SQLite(t), testkit.Behind(website.URL), func(cfg *wiring.Config) {
				at := cfg.BaseURL.JoinPath("/sso")
				cfg.NoPasswords = true
				cfg.Logins = []sso.Login{{
					Name: "site", Issuer: at.String(), PauseAfter: 30 * 24 * time.Hour, Rules: sso.Rules{TrustLevel: 1},
					Kind: sso.KindDiscourse, Discourse: sso.ConnectConfig{URL: at, Secret: provider.ConnectSecret},
				}}
			})
			answer = c.at(t, s.URL+"/user-api-key/login/site/callback")
			website.Say(func(w http.ResponseWriter, r *http.Request) {
				if q := r.URL.Query(); r.URL.Path == "/sso" {
					http.Redirect(w, r, answer(q.Get("sso"), q.Get("sig")), http.StatusSeeOther)
					return
				}
				_, _ = w.Write([]byte("user " + r.Header.Get("X-Userkeys-External-Id"))) // a client that is gone needs none
			})
			app, ann := s.App("laptop", "read"), s.Visitor()
			page := ann.Get(app.Path())
			for range 5 { // the sign-in page, the login, the website, the way back
				if to := page.Header.Get("Location"); to != "" {
					page = ann.Get(to)
				}
			}
			// Such a name cannot be one here: she chooses another, and signs in once more.
			choose := page.Must(t, http.StatusConflict)
			page = ann.Submit(choose, "/user-api-key/login/site", "username", "ann")
			for range 3 {
				page = ann.Get(page.Header.Get("Location"))
			}
			app.Connect(ann)
			app.Call("GET", "/me").Must(t, http.StatusOK, "user 17")
		})
	}
}

// TestCallerOfThePage runs the lines with which a website finds its user.
func TestCallerOfThePage(t *testing.T) {
	t.Parallel()
	command := findPython(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "caller.py"), []byte(websiteBlocks(t)["caller.py"]), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), command[0], "-c", `from caller import caller
print(caller({}), caller({"X-Userkeys-External-Id": "1"}), caller({"X-Userkeys-Key-Id": ""}), caller({"X-Userkeys-Key-Id": "7", "X-Userkeys-External-Id": "a%2Cb"}))`)
	cmd.Dir, cmd.Stderr = dir, t.Output()
	if out, err := cmd.Output(); err != nil || string(out) != "None None None a,b\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestAnyWebsitePage holds the page against the options that there are.
func TestAnyWebsitePage(t *testing.T) {
	t.Parallel()
	text, blocks := string(read(t, "any-website.md")), websiteBlocks(t)
	for name, block := range blocks {
		if strings.HasSuffix(name, ".toml") {
			checkConfig(t, name, block)
		}
		if strings.HasPrefix(name, "connect.") {
			if n := codeLines(block); n > 15 {
				t.Errorf("%s has %d lines", name, n)
			}
		}
	}
	formatted, err := format.Source([]byte(blocks["connect.go"]))
	if err != nil || string(formatted) != blocks["connect.go"] {
		t.Errorf("connect.go is not formatted by gofmt: %v\n%s", err, formatted)
	}
	_, table, _ := strings.Cut(text, "## A login, key by key")
	for _, m := range regexp.MustCompile("toml:\"([a-z-]+)\"").FindAllSubmatch(read(t, "../internal/sitecmd/sitedata/logins.go"), -1) {
		if name := string(m[1]); name != "rule" && !strings.Contains(table, "`"+name+"`") {
			t.Errorf("any-website.md does not explain %s", name)
		}
	}
}

// codeLines counts the lines of a program without imports, blank ones, and those with nothing but an end.
func codeLines(text string) int {
	text = regexp.MustCompile(`(?s)import \(.*?\n\)`).ReplaceAllString(text, "")
	n := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !regexp.MustCompile(`^([})\]end;]+|<\?php|package main|(import|from|require)\b.*)$`).MatchString(line) {
			n++
		}
	}
	return n
}

// checkConfig reads a configuration of the page as serve does, with its secrets in a folder of the test.
func checkConfig(t *testing.T, name, text string) {
	t.Helper()
	dir := t.TempDir()
	for _, secret := range []string{"sso-secret", "oidc-secret"} {
		if err := os.WriteFile(filepath.Join(dir, secret), []byte(provider.ConnectSecret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "/etc/userkeys/", dir+"/")), 0o600); err != nil {
		t.Fatal(err)
	}
	o, f := &sitedata.ServeOptions{}, pflag.NewFlagSet("serve", pflag.ContinueOnError)
	o.AddFlags(f)
	if err := f.Set("config", file); err != nil {
		t.Fatal(err)
	}
	if cfg, err := o.Resolve(f); err != nil || len(cfg.Logins)+len(cfg.Carriers)+len(cfg.IdentityHeaders) == 0 {
		t.Errorf("%s says nothing that no option says: %v", name, err)
	}
}
