package receiver

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"userkeys"
)

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
