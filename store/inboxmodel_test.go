package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"userkeys/site"
)

// naive is what inboxes hold, kept in the plainest way.
type naive struct {
	notes []site.Notification // of everybody, oldest first
	seen  map[int64]int64
}

func (m *naive) of(userID int64) []site.Notification {
	return slices.DeleteFunc(slices.Clone(m.notes), func(n site.Notification) bool { return n.UserID != userID })
}

func (m *naive) newest(userID int64) int64 {
	own := m.of(userID)
	if len(own) == 0 {
		return 0
	}
	return own[len(own)-1].ID
}

func (m *naive) see(userID, id int64) {
	m.seen[userID] = max(m.seen[userID], min(id, m.newest(userID)))
}

func (m *naive) read(mark site.NotificationsToRead) int {
	n := 0
	for i, o := range m.notes {
		if o.UserID == mark.UserID && !o.Read && (mark.ID == 0 || mark.ID == o.ID) && (mark.ID != 0 || mark.Types == nil || slices.Contains(mark.Types, o.Type)) {
			m.notes[i].Read = true
			n++
		}
	}
	if mark.ID == 0 {
		m.see(mark.UserID, m.newest(mark.UserID))
	}
	return n
}

func (m *naive) purge(before time.Time) int {
	had := len(m.notes)
	m.notes = slices.DeleteFunc(m.notes, func(n site.Notification) bool { return n.CreatedAt.Before(before) })
	return had - len(m.notes)
}

func (m *naive) counts(userID int64) site.NotificationCounts {
	c := site.NotificationCounts{SeenID: m.seen[userID]}
	for _, n := range m.of(userID) {
		if n.Read {
			continue
		}
		c.Unread++
		if c.UnreadByType == nil {
			c.UnreadByType = map[int]int{}
		}
		c.UnreadByType[n.Type]++
		fresh := 0
		if n.ID > c.SeenID {
			fresh = 1
		}
		c.New += fresh
		if n.Type == site.NotificationPrivateMessage {
			c.NewMessages += fresh
		}
		if n.HighPriority {
			c.UnreadUrgent++
		} else {
			c.NewOrdinary += fresh
		}
	}
	return c
}

func (m *naive) list(f site.NotificationFilter) (ids []int64, total int) {
	own := slices.DeleteFunc(m.of(f.UserID), func(n site.Notification) bool {
		return f.Read && !n.Read || f.Unread && n.Read || f.Types != nil && !slices.Contains(f.Types, n.Type)
	})
	total = len(own)
	own = slices.DeleteFunc(own, func(n site.Notification) bool {
		return f.Before != 0 && n.ID >= f.Before || f.After != 0 && n.ID <= f.After
	})
	if f.After == 0 {
		slices.Reverse(own)
	}
	if f.UrgentFirst {
		slices.SortStableFunc(own, func(a, b site.Notification) int { return cmp.Compare(btoi(b.HighPriority), btoi(a.HighPriority)) })
	}
	own = own[min(f.Offset, len(own)):]
	for _, n := range own[:min(f.Limit, len(own))] {
		ids = append(ids, n.ID)
	}
	return ids, total
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// modelRun is a store and its naive model, to which the same is done.
type modelRun struct {
	*world
	r     *rand.Rand
	seed  uint64
	m     *naive
	users []int64
	log   []string
}

var (
	modelNames = []string{"ada", "bob", "carol"}
	modelTypes = []int{1, 2, 6, 24}
)

// An inbox holds what a simple model of it holds, whatever users and sites do in whatever order.
func TestInboxMatchesAModel(t *testing.T) {
	each(t, func(w *world) {
		seed := uint64(time.Now().UnixNano())
		run := &modelRun{world: w, seed: seed, r: rand.New(rand.NewPCG(seed, 0)), m: &naive{seen: map[int64]int64{}}}
		for _, n := range modelNames {
			run.users = append(run.users, w.user(n).ID)
		}
		for step := range 120 {
			switch run.r.IntN(8) {
			case 0, 1, 2:
				run.tell(step)
			case 3, 4:
				run.read()
			case 5, 6:
				run.see()
			case 7:
				if run.r.IntN(4) == 0 {
					run.purge(noon.Add(time.Duration(step-60) * time.Minute))
				}
			}
			run.compare()
		}
	})
}

// differs ends the test with all that is needed to repeat it.
func (run *modelRun) differs(format string, args ...any) {
	run.Helper()
	run.Fatalf("seed %d: %s\n%v", run.seed, fmt.Sprintf(format, args...), run.log)
}

func (run *modelRun) someone() int64 { return run.users[run.r.IntN(3)] }

// some is the id of a notification, perhaps of somebody else; 0 if there is none.
func (run *modelRun) some() int64 {
	if len(run.m.notes) == 0 {
		return 0
	}
	return run.m.notes[run.r.IntN(len(run.m.notes))].ID
}

func (run *modelRun) tell(step int) {
	to := run.r.Perm(3)[:1+run.r.IntN(3)]
	var told []string
	for _, i := range to {
		told = append(told, modelNames[i])
	}
	n := note(modelTypes[run.r.IntN(4)], func(n *site.Notification) {
		n.CreatedAt = noon.Add(time.Duration(step-run.r.IntN(20)) * time.Minute)
	})
	n.HighPriority = n.HighPriority || run.r.IntN(5) == 0
	run.log = append(run.log, fmt.Sprint("tell ", told, n.Type))
	for i, id := range run.world.tell(n, told...) {
		n.ID, n.UserID = id, run.users[to[i]]
		run.m.notes = append(run.m.notes, n)
	}
	slices.SortFunc(run.m.notes, func(a, b site.Notification) int { return cmp.Compare(a.ID, b.ID) })
}

func (run *modelRun) read() {
	mark := site.NotificationsToRead{UserID: run.someone()}
	switch run.r.IntN(6) {
	case 0:
	case 1:
		mark.Types = modelTypes[:1+run.r.IntN(3)]
	default:
		mark.ID = run.some()
	}
	run.log = append(run.log, fmt.Sprintf("read %+v", mark))
	want := run.m.read(mark)
	if got := must[int](run.world)(run.ReadNotifications(run.ctx, mark)); got != want {
		run.differs("%+v marked %d, want %d", mark, got, want)
	}
}

func (run *modelRun) see() {
	u := run.someone()
	id := run.m.newest(u) - int64(run.r.IntN(10)) + 3
	run.log = append(run.log, fmt.Sprint("see ", u, id))
	run.m.see(u, id)
	run.ok(run.SeeNotifications(run.ctx, u, id))
}

func (run *modelRun) purge(before time.Time) {
	run.log = append(run.log, fmt.Sprint("purge ", before))
	want := run.m.purge(before)
	if got := must[int](run.world)(run.PurgeNotifications(run.ctx, before)); got != want {
		run.differs("%d were purged, want %d", got, want)
	}
}

// compare looks at every inbox, and at a list of one.
func (run *modelRun) compare() {
	for _, u := range run.users {
		in := run.inbox(u)
		if diff := gocmp.Diff(run.m.counts(u), in.Counts); diff != "" || in.Newest != run.m.newest(u) {
			run.differs("user %d, newest %d, want %d: -want +got\n%s", u, in.Newest, run.m.newest(u), diff)
		}
	}
	f := site.NotificationFilter{UserID: run.someone(), Limit: 1 + run.r.IntN(20), Offset: run.r.IntN(3)}
	switch run.r.IntN(3) {
	case 0:
		f.Unread, f.UrgentFirst = true, run.r.IntN(2) == 0
	case 1:
		f.Read = true
	}
	if run.r.IntN(2) == 0 {
		f.Types = modelTypes[run.r.IntN(3):]
	}
	if run.r.IntN(2) == 0 {
		f.Before = run.some()
	}
	if run.r.IntN(3) == 0 {
		f.After = run.some()
	}
	ids, total := run.m.list(f)
	if got := run.ids(f); !slices.Equal(got, ids) {
		run.differs("%+v lists %v, want %v", f, got, ids)
	}
	if got := must[int](run.world)(run.CountNotifications(run.ctx, f)); got != total {
		run.differs("%+v counts %d, want %d", f, got, total)
	}
}

// Under parallel writers the counts are those of what is there, the ids of a user come in the
// order of the versions, and no writers wait for each other in a circle.
func TestInboxUnderParallelWriters(t *testing.T) {
	each(t, func(w *world) {
		names := []string{"ada", "bob", "carol", "dora"}
		var users []int64
		for _, n := range names {
			users = append(users, w.user(n).ID)
		}
		var told atomic.Int64
		stop := make(chan struct{})
		order := make(chan error, 1)
		go func() { order <- w.idsInOrder(users[0], stop) }()
		for _, err := range w.together(12, func(i int) error {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for range 15 {
				n, err := w.writeOne(r, users, names)
				if told.Add(n); err != nil {
					return err
				}
			}
			gone, err := w.PurgeNotifications(w.ctx, noon)
			told.Add(-int64(gone))
			return err
		}) {
			w.ok(err)
		}
		close(stop)
		w.ok(<-order)
		left := 0
		for _, u := range users {
			m := &naive{seen: map[int64]int64{u: w.inbox(u).Counts.SeenID}}
			m.notes = must[[]site.Notification](w)(w.Notifications(w.ctx, site.NotificationFilter{UserID: u, Limit: 10000}))
			slices.Reverse(m.notes)
			left += len(m.notes)
			if diff := gocmp.Diff(m.counts(u), w.inbox(u).Counts); diff != "" {
				w.Errorf("user %d: -want +got\n%s", u, diff)
			}
			if total := must[int](w)(w.CountNotifications(w.ctx, site.NotificationFilter{UserID: u})); total != len(m.notes) {
				w.Errorf("user %d: %d are counted of %d", u, total, len(m.notes))
			}
		}
		if int64(left) != told.Load() {
			w.Errorf("%d are left of %d", left, told.Load())
		}
	})
}

// writeOne does one thing to inboxes and tells how many notifications it wrote.
func (w *world) writeOne(r *rand.Rand, users []int64, names []string) (int64, error) {
	u := users[r.IntN(len(users))]
	switch r.IntN(5) {
	case 0, 1:
		var to []string
		for _, j := range r.Perm(len(names))[:1+r.IntN(len(names))] { // in any order
			to = append(to, names[j])
		}
		a, err := w.AddNotifications(w.ctx, announce(note([]int{1, 2, 6}[r.IntN(3)], func(n *site.Notification) {
			n.CreatedAt = noon.Add(-time.Duration(r.IntN(2)) * time.Hour)
		}), to...))
		return int64(len(a.IDs)), err
	case 2:
		_, err := w.ReadNotifications(w.ctx, site.NotificationsToRead{UserID: u, ID: 1 + int64(r.IntN(100))})
		return 0, err
	case 3:
		_, err := w.ReadNotifications(w.ctx, site.NotificationsToRead{UserID: u, Types: []int{1 + r.IntN(2)}})
		return 0, err
	}
	return 0, w.SeeNotifications(w.ctx, u, int64(r.IntN(200)))
}

// idsInOrder looks on until stop: nothing may come in below what was seen to be the newest.
func (w *world) idsInOrder(userID int64, stop <-chan struct{}) error {
	known := map[int64]bool{}
	newest := int64(0)
	for {
		list, err := w.Notifications(w.ctx, site.NotificationFilter{UserID: userID, Limit: 10000})
		if err != nil {
			return err
		}
		for _, n := range list {
			if !known[n.ID] && n.ID <= newest {
				return errors.New("a notification came in below one that was there already")
			}
		}
		for _, n := range list {
			known[n.ID], newest = true, max(newest, n.ID)
		}
		select {
		case <-stop:
			return nil
		case <-time.After(2 * time.Millisecond): // the writers need the processor too
		}
	}
}
