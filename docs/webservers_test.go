package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"userkeys/internal/recipe"
	"userkeys/internal/testkit"
)

// TestWebServersPage runs the commands of the page that print or compare recipes, and reads its configuration.
func TestWebServersPage(t *testing.T) {
	t.Parallel()
	text := string(read(t, "web-servers.md"))
	for _, m := range pushBlock.FindAllStringSubmatch(text, -1) {
		if strings.HasSuffix(m[1], ".toml") {
			checkConfig(t, m[1], m[2])
		}
	}
	file, printed := filepath.Join(t.TempDir(), "userkeys.conf"), ""
	for line := range strings.Lines(text) {
		command, _, _ := strings.Cut(line, " >")
		command, _, _ = strings.Cut(command, " |")
		command, ok := strings.CutPrefix(strings.TrimSpace(command), "userkeys recipe ")
		if !ok {
			continue
		}
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
