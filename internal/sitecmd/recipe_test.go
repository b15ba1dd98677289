package sitecmd

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys/gateway"
	"userkeys/internal/cli"
	"userkeys/internal/recipe"
	"userkeys/server"
)

var update = flag.Bool("update", false, "write the recipes in testdata anew")

// runRecipe runs `userkeys recipe`.
func runRecipe(args ...string) (string, error) {
	cmd := newRecipeCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.Execute()
	return out.String(), err
}

// TestRecipes holds every recipe to the file of it in testdata, so that a change is seen; go test -run TestRecipes
// -update writes them.
func TestRecipes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		variant string
		args    []string
		only    string // of one web server; empty: all that can
	}{
		{"plain", nil, ""},
		{"authelia", []string{"--beside", "authelia", "--identity-header", "remote-user"}, ""},
		{"oauth2-proxy", []string{"--beside", "oauth2-proxy"}, ""},
		{"carriers", []string{"--carriers"}, "traefik"},
		{"sockets", []string{
			"--strict", "--ask", "unix:/run/userkeys/ask.sock", "--listen", "unix:/run/userkeys/site.sock", "--own", "apps",
		}, "nginx"},
	} {
		for _, name := range recipe.Names() {
			if tt.only != "" && tt.only != name {
				continue
			}
			args := append([]string{name, "--url", "https://www.example", "--app", "127.0.0.1:3000"}, tt.args...)
			got, err := runRecipe(args...)
			if err != nil {
				if tt.variant == "plain" || !strings.Contains(err.Error(), "there is no recipe for "+name+" beside") {
					t.Errorf("%s, %s: %v", name, tt.variant, err)
				}
				continue
			}
			file := filepath.Join("testdata", "recipes", name+"."+tt.variant)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs (-file +recipe):\n%s", file, diff)
			}
			mustBeWhole(t, name, got)
		}
	}
}

// mustBeWhole holds a recipe to the lists that the code has: of the headers in which a website learns who calls, and of
// the paths that are answered here.
func mustBeWhole(t *testing.T, name, text string) {
	t.Helper()
	folded := strings.NewReplacer("_", "-", "[.]", ".", `\.`, ".").Replace(strings.ToLower(text))
	for _, h := range gateway.IdentityHeaderNames() {
		if !strings.Contains(folded, strings.ToLower(h)) && name != "traefik" && name != "haproxy" { // which have a pattern
			t.Errorf("%s does not name %s", name, h)
		}
	}
	if name == "haproxy-lua" {
		return
	}
	for _, h := range gateway.SharedCacheHeaders() {
		if strings.Contains("nginx caddy haproxy", name) && !strings.Contains(folded, strings.ToLower(h)) {
			t.Errorf("%s does not take %s out of answers to keys", name, h)
		}
	}
	for _, p := range append(gateway.OwnPaths(), server.FallbackPaths()...) {
		if p = strings.ReplaceAll(strings.TrimSuffix(p, "*"), "_", "-"); !strings.Contains(folded, p) {
			t.Errorf("%s does not name %s", name, p)
		}
	}
}

// TestRecipeCheck holds that a recipe lacks nothing, also after the changes that people may make, and that each of its
// other lines is missed.
func TestRecipeCheck(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, name, text string) (string, error) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return runRecipe(name, "--check", file)
	}
	for _, name := range recipe.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := runRecipe(name, "--url", "https://www.example", "--app", "127.0.0.1:3000", "--strict", "--own", "/u/*")
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.SplitAfter(text, "\n")
			var changed []string
			for _, l := range lines {
				if strings.HasSuffix(l, " yours\n") {
					l = "something else\n"
				}
				changed = append(changed, "  "+l, "an added line\n")
			}
			if out, err := check(t, name, strings.Join(changed, "")); err != nil || out != "" {
				t.Errorf("a recipe with changes that people may make: %q, %v", out, err)
			}
			for i, l := range lines {
				if i == 0 || strings.TrimSpace(l) == "" || strings.Contains("#-", strings.TrimSpace(l)[:1]) || strings.HasSuffix(l, " yours\n") {
					continue
				}
				out, err := check(t, name, strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), ""))
				if want := "lacks: " + strings.Join(strings.Fields(l), " "); cli.ExitCode(err) != 1 || !strings.Contains(out, want[:len(want)-1]) {
					t.Errorf("without %q: %q, %v", l, out, err)
				}
			}
		})
	}
	t.Run("of an older version", func(t *testing.T) {
		t.Parallel()
		text, err := runRecipe("nginx", "--url", "https://www.example", "--app", "127.0.0.1:3000")
		if err != nil {
			t.Fatal(err)
		}
		var older []string
		for l := range strings.Lines(text) {
			if !strings.Contains(l, "X-Userkeys-Login") {
				older = append(older, l)
			}
		}
		out, err := check(t, "nginx", strings.Join(older, ""))
		if n := strings.Count(out, "lacks: "); n != 3 || cli.ExitCode(err) != 1 {
			t.Errorf("%d lines are missed, want 3: %s, %v", n, out, err)
		}
		out, err = check(t, "nginx", strings.Replace(text, "auth_request /_", "satisfy any; auth_request /_", 1))
		if !strings.Contains(out, "has: satisfy any;") || cli.ExitCode(err) != 1 {
			t.Errorf("a line that lets everybody through: %s, %v", out, err)
		}
		if _, err := check(t, "nginx", "server {}\n"); err == nil || !strings.Contains(err.Error(), "has no line") {
			t.Errorf("a file that is no recipe: %v", err)
		}
		if _, err := check(t, "caddy", text); err == nil || !strings.Contains(err.Error(), "no recipe of caddy") {
			t.Errorf("a recipe of another web server: %v", err)
		}
	})
}

// TestRecipeCheckFindsWhatUndoesIt holds that a check finds what lets everybody through in each spelling, and not in
// comments.
func TestRecipeCheckFindsWhatUndoesIt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, added string
		found       bool
	}{
		{"nginx", "satisfy any; # yours", true},
		{"nginx", "satisfy\n any;", true},
		{"nginx", "satisfy # or all\n 'any';", true},
		{"nginx", "# satisfy any;", false},
		{"nginx", "satisfy all; # not satisfy any", false},
		{"nginx", "proxy_pass\thttp://userkeys_website/;", true},
		{"haproxy", "option http-restrict-req-hdr-names  preserve # yours", true},
		{"envoy", "failure_mode_allow: true # yours", true},
		{"envoy", "failure_mode_allow: True", true},
		{"envoy", "failure_mode_allow : yes", true},
		{"envoy", "failure_mode_allow:\n  on", true},
		{"envoy", "failure_mode_allow: off", false},
		{"envoy", "failure_mode_allow: false", false},
		{"traefik", "trustForwardHeader: True", true},
		{"traefik", "trustForwardHeader: 1", true},
		{"haproxy-lua", "--[[", true},
		{"haproxy-lua", "x = 1 --[==[ a comment", true},
		{"haproxy-lua", "local s = [[", true},
		{"haproxy-lua", "-- [[", false},
	} {
		text, err := runRecipe(tt.name, "--url", "https://www.example", "--app", "127.0.0.1:3000")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "file")
		head, tail, _ := strings.Cut(text, "\n")
		if err := os.WriteFile(file, []byte(head+"\n"+tt.added+"\n"+tail), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := runRecipe(tt.name, "--check", file)
		first := strings.Fields(tt.added)[0]
		if tt.found != (cli.ExitCode(err) == 1) || tt.found != strings.Contains(out, "has: ") || tt.found && !strings.Contains(out, first) {
			t.Errorf("%s with %q: %q, %v", tt.name, tt.added, out, err)
		}
	}
}

// TestRecipeReadsTheConfiguration holds a recipe for the configuration file of serve to the one for the same options on
// the command line, and that a check knows of what was added to the file since.
func TestRecipeReadsTheConfiguration(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "userkeys.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const config = `
url = "https://www.example"
upstream = "http://127.0.0.1:3000"
listen = ":8090"
ask-listen = "127.0.0.1:8091"
own = ["/u/*"]
`
	const tables = `
[settings]
user_api_key_prefix = "uk"
[[identity-header]]
name = "Remote-User"
value = "username"
[[carrier]]
kind = "basic"
routes = ["GET /dav/{rest...}"]
[[login]]
name = "proxy"
kind = "header"
owner-gone = "never"
header = "X-Sso-Name"
email-header = "X-Sso-Name"
from = ["127.0.0.1"]
`
	for _, name := range recipe.Names() {
		write(config + tables)
		got, err := runRecipe(name, "--config", file, "--identity-header", "remote-user", "--listen", "127.0.0.1:8092")
		if err != nil {
			t.Fatal(err)
		}
		want, err := runRecipe(name, "--url", "https://www.example", "--app", "127.0.0.1:3000", "--ask", "127.0.0.1:8091",
			"--listen", "127.0.0.1:8092", "--own", "/u/*", "--identity-header", "remote-user", "--login-header", "X-Sso-Name",
			"--carriers")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(afterLine(want, 1), afterLine(got, 1)); diff != "" {
			t.Errorf("%s (-options +file):\n%s", name, diff)
		}
	}

	write(config)
	text, err := runRecipe("nginx", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(t.TempDir(), "nginx.conf")
	if err := os.WriteFile(mine, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := runRecipe("nginx", "--check", mine); err != nil || out != "" {
		t.Errorf("a recipe of the same file: %q, %v", out, err)
	}
	// A relative path is written so that a check from another folder finds it.
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, file)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := runRecipe("nginx", "--config", relative); err != nil || got != text {
		t.Errorf("a recipe for %s differs from one for %s: %v", relative, file, err)
	}
	write(config + tables)
	if out, err := runRecipe("nginx", "--check", mine); cli.ExitCode(err) != 1 || !strings.Contains(out, "Remote-User") {
		t.Errorf("a recipe from before Remote-User: %q, %v", out, err)
	}

	for text, want := range map[string]string{
		strings.Replace(config, "ask-listen", "#", 1):           "has no ask-listen",
		strings.Replace(config, "upstream", "#", 1):             "--app is missing",
		strings.Replace(config, "http://127", "https://127", 1): "--app: ",
		strings.Replace(config, "own", "owns", 1):               "no option owns",
		config + "\n[[identity-header]]\nname = \"Host\"\n":     "Host",
	} {
		write(text)
		if _, err := runRecipe("nginx", "--config", file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// afterLine is text without its first n lines.
func afterLine(text string, n int) string {
	for range n {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}

// TestRecipeCheckOptions: an option beside --check would have no effect, and is refused.
func TestRecipeCheckOptions(t *testing.T) {
	t.Parallel()
	for more, names := range map[string]string{
		"--strict": "--strict", "--config userkeys.toml": "--config", "--url https://www.example --carriers": "--carriers and --url",
	} {
		_, err := runRecipe(append([]string{"nginx", "--check", "no such file"}, strings.Fields(more)...)...)
		if cli.ExitCode(err) != cli.ExitUsage || !strings.HasSuffix(err.Error(), "leave out "+names) {
			t.Errorf("%s: %v", more, err)
		}
	}
}

// TestRecipeCheckFindsWaysAround: what leads to the website around the question is named, and what does not is not.
func TestRecipeCheckFindsWaysAround(t *testing.T) {
	t.Parallel()
	const before, within = "    location / {", "        proxy_pass http://$userkeys_to;"
	for _, tt := range []struct {
		name, at, added string // at is a line before which the others are added; empty: at the end
		found           string // the line that is named; empty: none
	}{
		{"nginx", before, "location /s/ { proxy_pass http://userkeys_website; }", "location /s/ { proxy_pass http://userkeys_website; }"},
		{"nginx", before, "location /s/ {\n proxy_pass http://127.0.0.1:3000/x;\n}", "proxy_pass http://127.0.0.1:3000/x;"},
		{"nginx", before, "location /s/ { proxy_pass \"http://LocalHost:3000\"; }", "location /s/ { proxy_pass \"http://LocalHost:3000\"; }"},
		{"nginx", "", "upstream same { server [::1]:3000; }", "upstream same { server [::1]:3000; }"},
		{"nginx", before, "location /s/ { proxy_pass http://127.0.0.1:30001; }", ""},
		{"nginx", before, "location /s/ { proxy_pass http://10.127.0.0.1:3000; }", ""},
		{"nginx", before, "# proxy_pass http://127.0.0.1:3000;", ""},
		{"nginx", before, "location /s/ { proxy_pass http://$userkeys_to; }", "proxy_pass http://$userkeys_to; (nobody is asked"},
		{"nginx", within, "location /s/ { proxy_pass http://$userkeys_to; }", ""},
		{"nginx", within, "location /s/ { auth_request off; proxy_pass http://$userkeys_to; }", "auth_request off; (nobody is asked"},
		{"nginx", within, "location /s/ { proxy_set_header X-Real-IP $remote_addr; }", "proxy_set_header X-Real-IP $remote_addr; (in this block"},
		{"nginx", within, "if ($a) { add_header X-A '{'; }", "add_header X-A {; (in this block"},
		{"nginx", within, "proxy_set_header X-Real-IP $remote_addr; add_header X-A ${a};", ""},
		{"nginx", within, "rewrite ^/s /other/ last;", "rewrite ^/s /other/ last; (nginx does this before"},
		{"nginx", within, "if ($a) { return 200 hello; }", "return 200 hello; (nginx does this before"},
		{"nginx", within, "location ~ /\\. { return 404; }", ""},
		{"nginx", within, "rewrite_by_lua_block { if a then b = {} end return }", "rewrite_by_lua_block; (nginx does this before"},
		{"nginx", within, "header_filter_by_lua_block { local a = {}; return 1; }", ""},
		{"nginx", before, "location /s/ { rewrite ^ /t/ last; add_header X-A b; }", ""},
		{"caddy", "", "http://other.example {\n\treverse_proxy localhost:3000\n}", "reverse_proxy localhost:3000"},
		{"caddy", "", "http://other.example {\n\treverse_proxy :3000\n}", "reverse_proxy :3000"},
		{"caddy", "", "http://other.example {\n\treverse_proxy :3001\n}", ""},
		{"traefik", "  middlewares:", "    more:\n      rule: x\n      service : 'website'", "service : 'website'"},
		{"traefik", "  middlewares:", "    more:\n      rule: x\n      service: website-2", ""},
		{"haproxy", "", "frontend more\n  default_backend  website", "default_backend website"},
		{"haproxy", "", "backend more\n  server more 127.0.0.1:3000 check", "server more 127.0.0.1:3000 check"},
		{"haproxy", "", "frontend more\n  http-request allow\n  default_backend more", ""},
		{"haproxy", "    option http-restrict-req-hdr-names delete", "    http-request allow if { path /s }", "http-request allow if { path /s } (HAProxy"},
		{"envoy", "", "x: { cluster: website }", "x: { cluster: website }"},
		{"envoy", "", "x: { \"@type\": \"type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute\" }", "x: "},
		{"gateway-api", "", "backendRefs: [{ name: website, port: 3000 }]", "backendRefs: "},
	} {
		text, err := runRecipe(tt.name, "--url", "https://www.example", "--app", "127.0.0.1:3000")
		if err != nil {
			t.Fatal(err)
		}
		at := len(text)
		if tt.at != "" {
			at = strings.Index(text, "\n"+tt.at) + 1
		}
		// The line of the website in a file of HAProxy may be changed.
		text = text[:at] + tt.added + "\n" + text[at:]
		text = strings.Replace(text, "server website 127.0.0.1:3000 #", "server website 127.0.0.1:3000 maxconn 9 #", 1)
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := runRecipe(tt.name, "--check", file)
		want := 0
		if tt.found != "" {
			want = 1
		}
		if at == 0 || cli.ExitCode(err) != want || strings.Count(out, "\n") != want || !strings.HasPrefix(out, "has: "+tt.found) && want > 0 {
			t.Errorf("%s with %s: %q, %v", tt.name, tt.added, out, err)
		}
	}
}

// TestRecipeCheckKnowsOrder holds that a line which stands elsewhere than in the recipe is named.
func TestRecipeCheckKnowsOrder(t *testing.T) {
	t.Parallel()
	text, err := runRecipe("caddy", "--url", "https://www.example", "--app", "127.0.0.1:3000")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(text, "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "forward_auth") })
	if at < 0 {
		t.Fatalf("the recipe of Caddy does not ask:\n%s", text)
	}
	moved := slices.Concat(lines[:at], lines[at+1:], lines[at:at+1])
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(strings.Join(moved, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := runRecipe("caddy", "--check", file)
	if want := "elsewhere: " + strings.TrimSpace(lines[at]); cli.ExitCode(err) != 1 || strings.Count(out, "\n") != 1 ||
		!strings.HasPrefix(out, want) {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
}

func TestRecipeRefuses(t *testing.T) {
	t.Parallel()
	good := []string{"--url", "https://www.example", "--app", "127.0.0.1:3000"}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown", append(good, "apache"), "there is no recipe for"},
		{"no url", []string{"nginx", "--app", "127.0.0.1:3000"}, "--url is missing"},
		{"no app", []string{"nginx", "--url", "https://www.example"}, "--app is missing"},
		{"url with a path", []string{"nginx", "--url", "https://www.example/x", "--app", "127.0.0.1:3000"}, "--url: "},
		{"app without a port", []string{"nginx", "--url", "https://www.example", "--app", "127.0.0.1"}, "--app: "},
		{"app that ends a directive", []string{"nginx", "--url", "https://www.example", "--app", "a;}:1"}, "--app: "},
		{"relative socket", append(good, "nginx", "--ask", "unix:ask.sock"), "--ask: "},
		{"socket with a space", append(good, "nginx", "--ask", "unix:/a b"), "--ask: "},
		{"socket for traefik", append(good, "traefik", "--ask", "unix:/a"), "traefik reaches no Unix socket"},
		{"beside nobody", append(good, "nginx", "--beside", "dex"), "neither authelia nor oauth2-proxy"},
		{"beside at nothing", append(good, "nginx", "--beside", "authelia=x"), "--beside: "},
		{"strict beside", append(good, "nginx", "--beside", "authelia", "--strict"), "is decided by authelia"},
		{"beside for envoy", append(good, "envoy", "--beside", "authelia"), "no recipe for envoy beside authelia"},
		{"own path with a semicolon", append(good, "nginx", "--own", "/a;b"), "--own: "},
		{"own path with a star within", append(good, "nginx", "--own", "/a*b"), "--own: "},
		{"header that means something else", append(good, "nginx", "--identity-header", "Host"), "--identity-header: "},
		{"header with the key", append(good, "nginx", "--identity-header", "User-Api-Key"), "--identity-header: "},
		{"header of the connection", append(good, "nginx", "--identity-header", "Connection"), "--identity-header: "},
		{"login by what an application takes", append(good, "nginx", "--login-header", "Accept"), "--login-header: "},
		{"login by an address", append(good, "nginx", "--login-header", "X-Real-Ip"), "--login-header: "},
		{"login by a cookie", append(good, "nginx", "--login-header", "Cookie"), "--login-header: "},
		{"url with a variable", []string{"nginx", "--url", "https://$host", "--app", "127.0.0.1:3000"}, "--url: "},
		{"url that ends a directive", []string{"nginx", "--url", "https://a;b", "--app", "127.0.0.1:3000"}, "--url: "},
		{"asks the pages", append(good, "nginx", "--ask", "127.0.0.1:8080"), "--ask and --listen are both"},
		{"asks the website", append(good, "nginx", "--ask", "127.0.0.1:3000"), "--ask and --app are both"},
		{"header with a space", append(good, "nginx", "--identity-header", "Remote User"), "--identity-header: "},
		{"header with a line", append(good, "nginx", "--identity-header", "Remote_User"), "--identity-header: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if out, err := runRecipe(tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q; it printed %.100q", err, tt.want, out)
			}
		})
	}
}

// TestRecipesOfLogins: a recipe removes each header of a login once (Traefik reads no file that has a name twice), and
// takes the headers of logins that serve takes.
func TestRecipesOfLogins(t *testing.T) {
	t.Parallel()
	for _, name := range recipe.Names() {
		args := []string{name, "--url", "https://www.example", "--app", "127.0.0.1:3000"}
		plain, err := runRecipe(args...)
		if err != nil {
			t.Fatal(err)
		}
		common, err := runRecipe(append(args, "--login-header", "remote-user", "--login-header", "X-Forwarded-User")...)
		if err != nil || afterLine(common, 1) != afterLine(plain, 1) {
			t.Errorf("%s for logins by common headers: %v\n%s", name, err, cmp.Diff(afterLine(plain, 1), afterLine(common, 1)))
		}
		more, err := runRecipe(append(args, "--login-header", "X-Client-Dn")...)
		if err != nil || name == "nginx" && !strings.Contains(more, `proxy_set_header X-Client-Dn ""`) {
			t.Errorf("%s for a login by a certificate: %v", name, err)
		}
	}
}

// TestTraefikPattern holds that the pattern by which Traefik takes headers from clients and from the answer is of every
// header in which a website learns who calls, in every spelling.
func TestTraefikPattern(t *testing.T) {
	t.Parallel()
	text, err := runRecipe("traefik", "--url", "https://www.example", "--app", "127.0.0.1:3000", "--identity-header", "Remote-User")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, `authResponseHeadersRegex: "`)
	expression, _, _ := strings.Cut(rest, `"`)
	pattern := regexp.MustCompile(expression)
	for _, name := range append(gateway.IdentityHeaderNames(), "Remote-User") {
		for _, mark := range []string{"-", "_", "."} {
			spelled := strings.ReplaceAll(name, "-", mark)
			if !pattern.MatchString(spelled) || !pattern.MatchString(strings.ToUpper(spelled)) {
				t.Errorf("%s does not match %s", expression, spelled)
			}
		}
	}
	for _, name := range []string{"Remote-Users", "X-Remote-User", "Cookie", "X-Userkeysx-Username"} {
		if pattern.MatchString(name) {
			t.Errorf("%s matches %s", expression, name)
		}
	}
}
