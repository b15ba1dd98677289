package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"userkeys/gateway"
	"userkeys/internal/recipe"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
	"userkeys/server"
)

var tryingBlock = regexp.MustCompile("(?s)```sh trying.sh\n(.*?)```")

var askingConfig = regexp.MustCompile("(?s)```toml asking.toml\n(.*?)```")

// TestWebServersPageNamesOwnPaths holds that the page names the paths that userkeys answers itself.
func TestWebServersPageNamesOwnPaths(t *testing.T) {
	t.Parallel()
	text := string(read(t, "web-servers.md"))
	for _, p := range append(gateway.OwnPaths(), server.FallbackPaths()...) {
		if !strings.Contains(text, "`"+strings.TrimSuffix(p, "*")+"`") {
			t.Errorf("the page does not name %s", p)
		}
	}
}

// TestWebServersPage runs the commands of the page that print or compare recipes, most of them for its configuration.
func TestWebServersPage(t *testing.T) {
	t.Parallel()
	text := string(read(t, "web-servers.md"))
	config := filepath.Join(t.TempDir(), "userkeys.toml")
	block := askingConfig.FindStringSubmatch(text)
	if block == nil {
		t.Fatal("the page has no configuration of userkeys")
	}
	if err := os.WriteFile(config, []byte(block[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	file, printed := filepath.Join(t.TempDir(), "userkeys.conf"), ""
	for line := range strings.Lines(text) {
		command, _, _ := strings.Cut(line, " >")
		command, _, _ = strings.Cut(command, " |")
		command, ok := strings.CutPrefix(strings.TrimSpace(command), "userkeys recipe ")
		if !ok {
			continue
		}
		command = strings.Replace(command, "/etc/userkeys.toml", config, 1)
		if strings.Contains(command, "--check") { // of the recipe before it
			command = "nginx --check " + file
			text := testkit.Run(t, "", strings.Fields("recipe nginx --url https://www.example --app 127.0.0.1:3000")...)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		testkit.Run(t, "", append([]string{"recipe"}, strings.Fields(command)...)...)
		printed += " " + command
	}
	for _, name := range recipe.Names() {
		if !strings.Contains(printed, " "+name+" ") {
			t.Errorf("the page has no command for the recipe of %s", name)
		}
	}
}

// TestWebServersPageShowsThatItWorks runs the page's three commands, for its configuration, with nginx, and with the
// other web servers if USERKEYS_LONG is set. The third command has a key of its own, so that it need not wait for the
// limit of the first.
func TestWebServersPageShowsThatItWorks(t *testing.T) {
	t.Parallel()
	text := string(read(t, "web-servers.md"))
	config, block := askingConfig.FindStringSubmatch(text), tryingBlock.FindStringSubmatch(text)
	if config == nil || block == nil || strings.Count(block[1], "\n") != 3 {
		t.Fatalf("the page has no configuration, or no three commands: %q", block)
	}
	commands := strings.Split(block[1], "\n")
	servers := []string{"nginx"}
	if os.Getenv("USERKEYS_LONG") != "" {
		servers = append(servers, "haproxy", "caddy")
	}
	for _, server := range servers {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			website, dir := testkit.NewUpstream(t), t.TempDir()
			front, listen := nettest.ReserveAddress(t), nettest.ReserveAddress(t)
			places := strings.NewReplacer("https://www.example", "http://"+front, "http://127.0.0.1:3000", website.URL,
				"/var/lib/userkeys", dir+"/data", "127.0.0.1:8080", listen, "127.0.0.1:8081", nettest.ReserveAddress(t))
			file := filepath.Join(dir, "userkeys.toml")
			if err := os.WriteFile(file, []byte(places.Replace(config[1])), 0o600); err != nil {
				t.Fatal(err)
			}
			testkit.Run(t, testkit.Password+"\n", "user", "add", "--init", "ann", "--password-stdin", "--data", dir+"/data")
			serve := testkit.ServeAt(t, listen, "--config", file)
			w := testkit.Recipe{Server: server, Scheme: "http", Addr: front, Args: []string{"--config", file}}.Start(t)
			ann := w.Person("ann")
			limited, revoked := w.App("one", "read").Connect(ann), w.App("two", "read").Connect(ann)
			run := func(command string, key *testkit.App) string {
				command = strings.ReplaceAll(places.Replace(command), "$(pidof userkeys)", strconv.Itoa(serve.PID()))
				cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
				cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(testkit.Binary(t))+":"+os.Getenv("PATH"),
					"USERKEYS_KEY="+key.Key.Reveal(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
				out, _ := cmd.CombinedOutput() // a call that is refused fails
				return string(out)
			}
			nettest.FindProgram(t, "curl")
			said := run(commands[0], limited)
			if strings.Count(said, " 200 OK") != 20 || strings.Count(said, " 429 ") != 1 || strings.Count(said, "Retry-After: ") != 1 {
				t.Errorf("%s\nsaid %s", commands[0], said)
			}
			website.Take()
			if said := run(commands[1], limited); !strings.Contains(said, " 503 ") || len(website.Take()) > 0 {
				t.Errorf("%s\nsaid %s", commands[1], said)
			}
			said = run(commands[2], revoked)
			if !strings.Contains(said, "403: invalid key") || len(website.Take()) > 0 {
				t.Errorf("%s\nsaid %s", commands[2], said)
			}
		})
	}
}
