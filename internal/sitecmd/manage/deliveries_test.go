package manage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userkeys"
	"userkeys/internal/cli/clitest"
	"userkeys/internal/rows"
	"userkeys/internal/sitecmd/people"
	"userkeys/internal/sitecmd/sitedata"
	"userkeys/outbox"
	"userkeys/site"
)

// fakePushes sends nothing, and remembers what it was told to do.
type fakePushes struct {
	deliveries []outbox.Delivery
	hosts      []outbox.Host
	done       []string
}

func (f *fakePushes) Deliveries(_ context.Context, fl outbox.Filter) ([]outbox.Delivery, error) {
	var out []outbox.Delivery
	for _, d := range slices.Backward(f.deliveries) {
		if d.DeadAt.IsZero() != fl.Dead && (fl.Host == "" || d.Host == fl.Host) && (fl.UserID == 0 || d.UserID == fl.UserID) &&
			(fl.Before == 0 || d.ID < fl.Before) && len(out) < fl.Limit {
			out = append(out, d)
		}
	}
	return out, nil
}

func (f *fakePushes) Hosts(context.Context) ([]outbox.Host, error) { return f.hosts, nil }

func (f *fakePushes) Replay(_ context.Context, ids []int64, host string, by site.Caller) (int, error) {
	f.done = append(f.done, fmt.Sprintf("replay %d %v %q by %s", len(ids), slices.MaxFunc(append(ids, 0), func(a, b int64) int { return int(a - b) }), host, by.Kind()))
	if len(ids) == 1 && ids[0] == 99 {
		return 0, nil
	}
	return max(len(ids), 1), nil
}

func (f *fakePushes) Discard(_ context.Context, ids []int64, host string, by site.Caller) (int, error) {
	f.done = append(f.done, fmt.Sprintf("discard %v %q by %s", ids, host, by.Kind()))
	return len(ids), nil
}

func (f *fakePushes) ResumeHost(_ context.Context, host string, _ site.Caller) error {
	f.done = append(f.done, "resume "+host)
	return nil
}

func (f *fakePushes) ResumeKey(_ context.Context, id int64, _ site.Caller) error {
	if id == 4711 {
		return userkeys.Errorf(userkeys.NotFound, "there is no such key")
	}
	f.done = append(f.done, fmt.Sprintf("resume key %d", id))
	return nil
}

func (f *fakePushes) KeyPushes(_ context.Context, ids []int64) (map[int64]outbox.KeyState, error) {
	f.done = append(f.done, fmt.Sprintf("%d keys", len(ids)))
	return map[int64]outbox.KeyState{7: {OffAt: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), Problem: outbox.ProblemGone}}, nil
}

// pushData is a folder with the user alice, and a command over it and f.
func pushData(t *testing.T, f pushes) func(args ...string) clitest.Outcome {
	t.Helper()
	dir := t.TempDir()
	if o := clitest.Execute(t, people.Commands()[0], "a long enough password\n", "add", "--init", "alice", "--password-stdin", "--data", dir); o.Code != 0 {
		t.Fatal(o.Err)
	}
	return func(args ...string) clitest.Outcome {
		return clitest.Execute(t, (&deliveries{pushes: func(*sitedata.Data) pushes { return f }}).command(), "", append(args, "--data", dir)...)
	}
}

func testDeliveries() *fakePushes {
	const bad, good = "http://hub:8080", "https://push.example:443"
	at := time.Date(2026, 5, 20, 12, 0, 0, 0, time.UTC)
	f := &fakePushes{hosts: []outbox.Host{
		{Host: good, Delivered: 1204, DeliveredAt: at, Queued: 1},
		{Host: bad, Failures: 12, Failed: 40, Off: 3, FailedAt: at, Problem: "status 503", Dead: 2, ClosedUntil: time.Now().Add(time.Hour)},
	}}
	for i, d := range []outbox.Delivery{
		{PushURL: "https://push.example/x", Host: good, UserID: 1, NotificationID: 11, NextAt: at},
		{PushURL: "http://hub:8080/x", Host: bad, UserID: 1, NotificationID: 12, Attempt: 14, DeadAt: at, Problem: outbox.ProblemConnection},
		{PushURL: "http://hub:8080/\x1b[2J", Host: bad, UserID: 99, Attempt: 1, DeadAt: at, Problem: "status 503"},
	} {
		d.ID, d.CreatedAt, d.QueuedAt = int64(i+1), at, at
		f.deliveries = append(f.deliveries, d)
	}
	return f
}

func TestDeliveriesLists(t *testing.T) {
	t.Parallel()
	run := pushData(t, testDeliveries())
	for _, tt := range []struct {
		args      []string
		must, not []string
	}{
		{[]string{"list"}, []string{"ID  USER   TO ", "1   alice  https://push.example/x  2026-05-20 12:00:00Z  0         now   -         -"}, []string{"hub"}},
		{[]string{"list", "--dead"}, []string{"connection", "status 503", "http://hub:8080/x"}, []string{"push.example", "\x1b"}},
		{[]string{"list", "--dead", "--user", "ALICE"}, []string{"connection"}, []string{"status 503"}},
		{[]string{"list", "--dead", "--host", "http://hub:8080"}, []string{"connection", "status 503"}, nil},
		{[]string{"list", "--dead", "--host", "push.example"}, []string{"ID  USER"}, []string{"hub"}},
		{[]string{"list", "--dead", "--host", "push.example", "--json"}, []string{"[]"}, nil},
		{[]string{"hosts"}, []string{"HOST  ", "https://push.example:443  1        0         0         1204       0       2026-05-20 12:00:00Z", "status 503"}, nil},
		{[]string{"hosts", "--json"}, []string{`"host": "http://hub:8080"`, `"failures": 12`, `"closed_until": "20`, `"closed_until": null`, `"off": 3`, `"problem": null`}, nil},
	} {
		o := run(tt.args...)
		if o.Code != 0 {
			t.Errorf("%q: %s", tt.args, o.Err)
		}
		for _, text := range tt.must {
			if !strings.Contains(o.Out, text) {
				t.Errorf("%q lacks %q:\n%s", tt.args, text, o.Out)
			}
		}
		for _, text := range tt.not {
			if strings.Contains(o.Out, text) {
				t.Errorf("%q has %q:\n%s", tt.args, text, o.Out)
			}
		}
	}
	var rows []rows.Delivery
	if err := json.Unmarshal([]byte(run("list", "--dead", "--json").Out), &rows); err != nil || len(rows) != 2 || rows[0].NextAt != nil || rows[0].Username != nil || rows[1].Username == nil || *rows[1].Username != "alice" || rows[0].NotificationID != nil || *rows[1].NotificationID != 12 || rows[1].Attempts != 14 {
		t.Errorf("%+v, %v", rows, err)
	}
}

// A table has no next attempt in the past, and tells what waits for its user from what is tried again.
func TestDeliveriesTellWhenTheyAreTriedNext(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 20, 12, 0, 0, 0, time.UTC)
	soon := now.Add(time.Minute)
	for _, tt := range []struct {
		name string
		d    outbox.Delivery
		want string
	}{
		{"it is due", outbox.Delivery{QueuedAt: now.Add(-time.Hour), NextAt: now.Add(-time.Minute)}, "now"},
		{"it is tried again", outbox.Delivery{QueuedAt: now.Add(-time.Hour), NextAt: soon, Attempt: 1}, "2026-05-20 12:01:00Z"},
		{"it waits for its user", outbox.Delivery{QueuedAt: soon, NextAt: soon}, "held back until 2026-05-20 12:01:00Z"},
		{"it was given up", outbox.Delivery{QueuedAt: now, NextAt: soon, DeadAt: now}, "-"},
	} {
		if got := nextCell(rows.NewDelivery(tt.d, "alice"), now); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDeliveriesListIsBounded(t *testing.T) {
	t.Parallel()
	f := &fakePushes{}
	for i := range 1203 {
		f.deliveries = append(f.deliveries, outbox.Delivery{ID: int64(i + 1), UserID: 1, PushURL: "https://push.example/x"})
	}
	run := pushData(t, f)
	for limit, want := range map[string]int{"": 100, "1": 1, "500": 500, "1202": 1202, "1203": 1203, "2000": 1203, "0": 1203} {
		args := []string{"list", "--json"}
		if limit != "" {
			args = append(args, "--limit", limit)
		}
		o := run(args...)
		var rows []rows.Delivery
		if err := json.Unmarshal([]byte(o.Out), &rows); err != nil || len(rows) != want || rows[0].ID != 1203 || rows[want-1].ID != int64(1204-want) {
			t.Errorf("--limit %q: %d rows, want %d; %v", limit, len(rows), want, err)
		}
		if said := strings.Contains(o.Err, "there are more"); said != (want < 1203) {
			t.Errorf("--limit %q: that there are more is said: %v", limit, said)
		}
	}
}

func TestDeliveriesChanges(t *testing.T) {
	t.Parallel()
	many := []string{"replay"}
	for i := range 1500 {
		many = append(many, fmt.Sprint(i+1))
	}
	for _, tt := range []struct {
		name string
		args []string
		says string // on the standard output; of a refusal, on the other
		done []string
	}{
		{"some again", []string{"replay", "4", "5"}, "2 queued again\n", []string{`replay 2 5 "" by command`}},
		{"very many", many, "1500 queued again\n", []string{`replay 1000 1000 "" by command`, `replay 500 1500 "" by command`}},
		{"all of a host", []string{"replay", "--host", "push.example"}, "1 queued again\n", []string{`replay 0 0 "https://push.example:443" by command`}},
		{"all", []string{"replay", "--all"}, "1 queued again\n", []string{`replay 0 0 "" by command`}},
		{"some forgotten", []string{"discard", "4"}, "1 discarded\n", []string{`discard [4] "" by command`}},
		{"a host tried again", []string{"resume", "push.example"}, "https://push.example:443 is tried again\n", []string{"resume https://push.example:443"}},
		{"a key tried again", []string{"resume", "--key", "7"}, "key 7 is pushed to again\n", []string{"resume key 7"}},
		{"nothing said does not mean all", []string{"discard"}, "name deliveries by id, or say --host or --all", nil},
		{"an empty host does not mean all", []string{"discard", "--host", ""}, `--host: "": a host is written as`, nil},
		{"two at once", []string{"discard", "4", "--all"}, "only one of them", nil},
		{"no id", []string{"discard", "x"}, `"x" is no id of a delivery`, nil},
		{"no host", []string{"resume", "ftp://x"}, "a host is written as", nil},
		{"nothing to try again", []string{"resume"}, "name a host", nil},
		{"a host and a key", []string{"resume", "push.example", "--key", "7"}, "only one of them", nil},
		{"none that was given up", []string{"replay", "99"}, "none of these deliveries is there, and given up; see userkeys deliveries list --dead", []string{`replay 1 99 "" by command`}},
		{"an unknown host's", []string{"discard", "--host", "nope"}, "nothing was ever pushed to https://nope:443; there is https://push.example:443, http://hub:8080", nil},
		{"an unknown host's, listed", []string{"list", "--host", "9000"}, "nothing was ever pushed to https://9000:443", nil},
		{"an unknown host tried again", []string{"resume", "hub:8080"}, "did you mean http://hub:8080?", nil},
		{"no key", []string{"resume", "--key", "0"}, "name a host", nil},
		{"an unknown key", []string{"resume", "--key", "4711"}, "there is no such key", nil},
		{"an unknown user", []string{"list", "--user", "nobody"}, "there is no", nil},
		{"no limit", []string{"list", "--limit", "-1"}, "--limit must be", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := testDeliveries()
			o := pushData(t, f)(tt.args...)
			if diff := cmp.Diff(tt.done, f.done); diff != "" {
				t.Error(diff)
			}
			if o.Code == 0 && (tt.done == nil || o.Out != tt.says) || o.Code != 0 && (strings.HasSuffix(tt.says, "\n") || !strings.Contains(o.Err, tt.says)) {
				t.Errorf("it ends with %d and says %q, %q; want %q", o.Code, o.Out, o.Err, tt.says)
			}
		})
	}
}

func TestKeysListTellsHowPushesGo(t *testing.T) {
	t.Parallel()
	f := &fakePushes{}
	list := []rows.Key{{ID: 1}}
	for i := range 1200 {
		list = append(list, rows.Key{ID: int64(i + 7), PushURL: "https://push.example/x"})
	}
	if err := addPushes(t.Context(), f, list); err != nil {
		t.Fatal(err)
	}
	if list[0].Push != nil || list[1].Push == nil || *list[1].Push.Problem != "gone" || list[1].Push.OffAt == nil || list[2].Push == nil || list[2].Push.OffAt != nil {
		t.Errorf("%+v %+v %+v", list[0].Push, list[1].Push, list[2].Push)
	}
	if diff := cmp.Diff([]string{"500 keys", "500 keys", "200 keys"}, f.done); diff != "" {
		t.Error(diff)
	}
}
