package table

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"userkeys/internal/bench"
)

func TestLine(t *testing.T) {
	t.Parallel()
	spread := bench.Spread{Min: 1, Median: 1.25, Max: 2}
	tests := []struct {
		name string
		line Line
		met  bool
		want string
	}{
		{"met", Of("a / b", spread, 1.25), true, "| a / b | 1.00/1.25/2.00 | <= 1.25 | yes |"},
		{"missed", Of("a / b", spread, 1.2), false, "| a / b | 1.00/1.25/2.00 | <= 1.2 | no |"},
		{"no goal", Of("a / b", spread, NoGoal), true, "| a / b | 1.00/1.25/2.00 | - | - |"},
		{
			"only informs",
			Line{What: "a / b", Got: "3", Value: 3, Goal: 2, Informs: true},
			true, "| a / b | 3 | <= 2, informs | no |",
		},
		{
			"wrong answers",
			Line{What: "heap", Got: "3 B", Note: "(a note)", Value: 3, Goal: 4, Unit: "B", Wrong: "status 403"},
			false, "| heap | 3 B (a note) | <= 4 B | WRONG |",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.line.String(); got != tt.want {
				t.Errorf("line %q, want %q", got, tt.want)
			}
			if got := tt.line.Met(); got != tt.met {
				t.Errorf("met: %v, want %v", got, tt.met)
			}
		})
	}
}

func TestWriteInto(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "doc.md")
	write := func(doc string) {
		if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# Title\n" + begin + "\nold\n" + end + "\nafter\n")
	for range 2 { // it can be written again
		if err := WriteInto(path, "new\n"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "# Title\n" + begin + "\n\nnew\n\n" + end + "\nafter\n"; string(got) != want {
		t.Errorf("document %q, want %q", got, want)
	}
	write("# Title\n" + begin + "\nold\n")
	if err := WriteInto(path, "new\n"); err == nil || !strings.Contains(err.Error(), "marks") {
		t.Errorf("a document without an end mark: %v", err)
	}
}

// TestDocumentHasMarks: the document that make bench writes into has a place for the table.
func TestDocumentHasMarks(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replace(string(doc), "new"); err != nil {
		t.Error(err)
	}
}
