package appcmd

import (
	"os/exec"
	"regexp"
	"testing"
)

// TestNoDatabaseIsLinked: the commands of an app's side need no database, so a
// program of them alone links none.
func TestNoDatabaseIsLinked(t *testing.T) {
	t.Parallel()
	deps, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	unwanted := regexp.MustCompile(`(?m)^(database/sql|modernc\.org/sqlite|github\.com/jackc/pgx.*|userkeys/(store|authority|server|gateway|notify))$`)
	if found := unwanted.FindAllString(string(deps), -1); found != nil {
		t.Errorf("the commands of an app's side link %q", found)
	}
}
