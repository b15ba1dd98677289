package receiver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userkeys/client"
)

// A push is kept before it is answered, once, and is known again after a restart.
func TestStoreKeepsEachPushOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pushes")
	start := func() *rig {
		store, err := OpenStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		return newRig(t, func(c *Config) { c.Store, c.AcceptUnsigned = store, true })
	}
	files := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	r := start()
	if w := r.push("m1", body); w.Code != 200 || r.last().Result != Verified || len(files()) != 1 || r.last().File != files()[0] {
		t.Fatalf("%d %+v %v", w.Code, r.last(), files())
	}
	later := strings.Replace(body, "A topic", "Read meanwhile", 1) // the id counts
	for _, again := range []*rig{r, start()} {
		if w := again.push("m1", later); w.Code != 200 || again.last().Result != Duplicate || again.last().Why != "was here before" {
			t.Errorf("again: %d %+v", w.Code, again.last())
		}
	}
	other := strings.ReplaceAll(body, "forum.example", "other.example")
	elsewhere := start()
	if elsewhere.push("m1", other); elsewhere.last().Result != Verified {
		t.Errorf("the same id of another site: %+v", elsewhere.last())
	}
	for range 2 {
		if r.push("", body); r.last().Result != Unsigned {
			t.Errorf("unsigned: %+v", r.last())
		}
	}
	if got := files(); len(got) != 4 {
		t.Fatalf("kept %v", got)
	}
	text, err := os.ReadFile(filepath.Join(dir, "push-"+pushName("https://forum.example", "m1")))
	if err != nil || bytes.Count(text, []byte("\n")) != 1 || text[len(text)-1] != '\n' {
		t.Fatalf("%q, %v", text, err)
	}
	var kept struct {
		ID, Site      string
		Verified      bool
		Notifications []map[string]any
		Body          json.RawMessage
	}
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(body, string(kept.Body)); diff != "" || kept.ID != "m1" || !kept.Verified || kept.Notifications[0]["client_id"] != "c1" {
		t.Errorf("%s\n%s", diff, text)
	}
	info, err := os.Stat(files()[0])
	if err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("others can read it: %v, %v", info.Mode(), err)
	}
}

// A later try that has a second client's notification is not the same push for that client, before a restart and after it.
func TestStoreAddsWhatALaterTryHas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func() *rig {
		store, err := OpenStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		return newRig(t, func(c *Config) { c.Store = store })
	}
	kept := func(id string) (clients []string) {
		text, err := os.ReadFile(filepath.Join(dir, "push-"+pushName("https://forum.example", id)))
		if err != nil {
			t.Fatal(err)
		}
		var in stored
		if err := json.Unmarshal(text, &in); err != nil {
			t.Fatal(err)
		}
		for _, n := range in.Notifications {
			clients = append(clients, n.ClientID)
		}
		return clients
	}
	first, rest, _ := strings.Cut(body, "]}")
	_, note, _ := strings.Cut(first, "[")
	both := first + "," + strings.Replace(note, `"c1"`, `"c2"`, 1) + "]}" + rest
	r := start()
	for id, later := range map[string]*rig{"m1": r, "m2": start()} {
		if r.push(id, body); r.last().Result != Verified {
			t.Fatalf("%+v", r.last())
		}
		if later.push(id, both); later.last().Result != Verified || !slices.Equal(kept(id), []string{"c1", "c2"}) {
			t.Errorf("%s: %+v, kept for %v", id, later.last(), kept(id))
		}
		if later.push(id, both); later.last().Result != Duplicate {
			t.Errorf("%s once more: %+v", id, later.last())
		}
	}
	r.push("m3", body)
	r.push("m3", both)
	if told := r.last().Notes; len(told) != 1 || told[0].ClientID != "c2" {
		t.Errorf("it tells of %+v, want what is new", told)
	}
}

func pushName(site, id string) string {
	return strings.TrimPrefix(filepath.Base((&Store{}).name(client.Push{Site: site, ID: id})), "push-")
}

// What cannot be kept is not acknowledged, and the next try is not taken for a duplicate.
func TestStoreThatFailsLosesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pushes")
	store, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *Config) { c.Store = store })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if w := r.push("m1", body); w.Code != 503 || w.Header().Get("Retry-After") != "5" || r.last().Result != Broken || strings.Contains(w.Body.String(), dir) {
		t.Errorf("%d %v %q %+v", w.Code, w.Header(), w.Body, r.last())
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if w := r.push("m1", body); w.Code != 200 || r.last().Result != Verified {
		t.Errorf("%d %+v", w.Code, r.last())
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(filepath.Join(file, "below")); err == nil {
		t.Error("a folder below a file was opened")
	}
}

// Many at once, each twice: each is kept once, and every answer is a success or asks for another try.
func TestStoreUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *Config) { c.Store = store })
	var wg sync.WaitGroup
	for i := range 200 {
		req := signed(t, fmt.Sprint("m", i/2), body)
		wg.Go(func() {
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			if w.Code != 200 && w.Code != 503 {
				t.Errorf("answered %d: %s", w.Code, w.Body)
			}
		})
	}
	wg.Wait()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 100 {
		t.Errorf("%d files, %v", len(files), err)
	}
	taken := 0
	for _, e := range r.told {
		if e.Result == Verified {
			taken++
		}
	}
	if taken != 100 {
		t.Errorf("%d taken", taken)
	}
}
