package store_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"userkeys/site"
)

// A job is claimed by one node.
func TestJobIsClaimedByOneNode(t *testing.T) {
	each(t, func(w *world) {
		for round := range 3 {
			at := noon.Add(time.Duration(round) * time.Hour)
			var mine [20]bool
			for _, err := range w.together(20, func(i int) (err error) {
				mine[i], err = w.ClaimJob(w.ctx, "clean-up", at, at.Add(time.Minute))
				return err
			}) {
				w.ok(err)
			}
			if n := len(slices.DeleteFunc(mine[:], func(b bool) bool { return !b })); n != 1 {
				w.Fatalf("round %d: %d have it", round, n)
			}
			if round == 0 {
				w.ok(w.FinishJob(w.ctx, "clean-up", at.Add(time.Hour)))
			}
		}
		// Who had it last never said that it is done: after its time somebody else gets it.
		if ok := must[bool](w)(w.ClaimJob(w.ctx, "clean-up", noon.Add(2*time.Hour+time.Minute-time.Second), noon)); ok {
			w.Error("taken from who still has it")
		}
		if ok := must[bool](w)(w.ClaimJob(w.ctx, "clean-up", noon.Add(2*time.Hour+time.Minute), noon.Add(9*time.Hour))); !ok {
			w.Error("nobody gets it any more")
		}
		if ok := must[bool](w)(w.ClaimJob(w.ctx, "another", noon, noon.Add(time.Hour))); !ok {
			w.Error("one job stops another")
		}
	})
}

// Nodes agree on one value.
func TestNodesAgreeOnOneValue(t *testing.T) {
	each(t, func(w *world) {
		if b := must[[]byte](w)(w.Agreed(w.ctx, "secret")); b != nil {
			w.Errorf("before anybody told: %q", b)
		}
		first := map[string]bool{}
		var got [10][]byte
		for _, err := range w.together(10, func(i int) (err error) {
			got[i], err = w.Agree(w.ctx, "secret", []byte{byte(i)})
			return err
		}) {
			w.ok(err)
		}
		for _, b := range got {
			first[string(b)] = true
		}
		if len(first) != 1 {
			w.Errorf("%d values: %v", len(first), slices.Collect(maps.Keys(first)))
		}
		for range 2 { // once is all that the log has
			w.ok(w.ReplaceAgreed(w.ctx, "secret", []byte("new"), site.Caller{As: site.CallerCommand}.At(noon)))
		}
		if b := must[[]byte](w)(w.Agree(w.ctx, "secret", []byte("other"))); string(b) != "new" {
			w.Errorf("%q", b)
		}
		if b := must[[]byte](w)(w.Agreed(w.ctx, "secret")); string(b) != "new" {
			w.Errorf("%q", b)
		}
		w.ok(w.ReplaceAgreed(w.ctx, "the first", []byte("of its name"), site.Caller{As: site.CallerCommand}.At(noon)))
		events := slices.DeleteFunc(must[[]site.AuditEvent](w)(w.AuditEvents(w.ctx, site.AuditFilter{})), func(e site.AuditEvent) bool { return !strings.HasSuffix(e.Action, " replaced") })
		if len(events) != 1 || events[0].Action != "secret replaced" || events[0].Caller.Kind() != site.CallerCommand || !events[0].At.Equal(noon.Truncate(time.Microsecond)) {
			w.Errorf("the log has %+v", events)
		}
	})
}
