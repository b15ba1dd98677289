package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"userkeys/gateway"
	"userkeys/internal/recipe"
	"userkeys/internal/testkit"
	"userkeys/server"
)

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
