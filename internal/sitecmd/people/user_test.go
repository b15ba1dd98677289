package people

import (
	"strings"
	"testing"
)

// A password is what the person types: not the line's end, and not the mark that PowerShell writes before a text.
func TestPasswordFromStandardInput(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want string }{
		{"a line", "secret words\n", "secret words"},
		{"no line end", "secret words", "secret words"},
		{"CRLF", "secret words\r\n", "secret words"},
		{"byte order mark", "\ufeffsecret words\r\n", "secret words"},
		{"spaces count", " secret words \n", " secret words "},
		{"only the first line", "secret words\nmore\n", "secret words"},
		{"nothing", "", ""},
		{"a byte order mark and nothing", "\ufeff\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := (&users{passwordStdin: true}).password(strings.NewReader(test.in))
			if got != test.want || (err != nil) != (test.want == "") {
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}
		})
	}
}
