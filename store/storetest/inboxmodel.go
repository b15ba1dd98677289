package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"userkeys"
)

// naive is what inboxes hold, kept in the plainest way.
type naive struct {
	notes []userkeys.Notification // of everybody, oldest first
	seen  map[int64]int64
}

func (m *naive) of(userID int64) []userkeys.Notification {
	return slices.DeleteFunc(slices.Clone(m.notes), func(n userkeys.Notification) bool { return n.UserID != userID })
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

func (m *naive) read(mark userkeys.NotificationMark) int {
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
	m.notes = slices.DeleteFunc(m.notes, func(n userkeys.Notification) bool { return n.CreatedAt.Before(before) })
	return had - len(m.notes)
}

func (m *naive) counts(userID int64) userkeys.NotificationCounts {
	c := userkeys.NotificationCounts{SeenID: m.seen[userID]}
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
		if n.Type == userkeys.NotificationPrivateMessage {
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

func (m *naive) list(f userkeys.NotificationFilter) (ids []int64, total int) {
	own := slices.DeleteFunc(m.of(f.UserID), func(n userkeys.Notification) bool {
		return f.Read && !n.Read || f.Unread && n.Read || f.Types != nil && !slices.Contains(f.Types, n.Type)
	})
	total = len(own)
	own = slices.DeleteFunc(own, func(n userkeys.Notification) bool {
		return f.Before != 0 && n.ID >= f.Before || f.After != 0 && n.ID <= f.After
	})
	if f.After == 0 {
		slices.Reverse(own)
	}
	if f.UrgentFirst {
		slices.SortStableFunc(own, func(a, b userkeys.Notification) int { return cmp.Compare(btoi(b.HighPriority), btoi(a.HighPriority)) })
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

// inboxModel does what users and sites may do, in any order, and compares with the naive model.
func inboxModel(w *world) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	names := []string{"ada", "bob", "carol"}
	var users []int64
	for _, n := range names {
		users = append(users, w.user(n).ID)
	}
	types := []int{1, 2, 6, 24}
	m := &naive{seen: map[int64]int64{}}
	var log []string
	for step := range 250 {
		u := users[r.IntN(3)]
		switch r.IntN(8) {
		case 0, 1, 2:
			to := r.Perm(3)[:1+r.IntN(3)]
			var told []string
			for _, i := range to {
				told = append(told, names[i])
			}
			n := note(types[r.IntN(4)], func(n *userkeys.Notification) { n.CreatedAt = noon.Add(time.Duration(step-r.IntN(20)) * time.Minute) })
			n.HighPriority = n.HighPriority || r.IntN(5) == 0
			for i, id := range w.tell(n, told...) {
				n.ID, n.UserID = id, users[to[i]]
				m.notes = append(m.notes, n)
			}
			slices.SortFunc(m.notes, func(a, b userkeys.Notification) int { return cmp.Compare(a.ID, b.ID) })
			log = append(log, fmt.Sprint("tell ", told, n.Type))
		case 3, 4:
			mark := userkeys.NotificationMark{UserID: u}
			switch r.IntN(6) {
			case 0:
			case 1:
				mark.Types = types[:1+r.IntN(3)]
			default:
				if len(m.notes) > 0 {
					mark.ID = m.notes[r.IntN(len(m.notes))].ID // perhaps somebody else's
				}
			}
			want := m.read(mark)
			log = append(log, fmt.Sprintf("read %+v", mark))
			if got := must[int](w)(w.ReadNotifications(w.ctx, mark)); got != want {
				w.Fatalf("seed %d: %+v marked %d, want %d\n%v", seed, mark, got, want, log)
			}
		case 5, 6:
			id := m.newest(u) - int64(r.IntN(10)) + 3
			m.see(u, id)
			log = append(log, fmt.Sprint("see ", u, id))
			w.ok(w.SeeNotifications(w.ctx, u, id))
		case 7:
			if r.IntN(4) == 0 {
				before := noon.Add(time.Duration(step-60) * time.Minute)
				want := m.purge(before)
				log = append(log, fmt.Sprint("purge ", before))
				if got := must[int](w)(w.PurgeNotifications(w.ctx, before)); got != want {
					w.Fatalf("seed %d: %d were purged, want %d\n%v", seed, got, want, log)
				}
			}
		}
		for _, u := range users {
			in := w.inbox(u)
			if diff := gocmp.Diff(m.counts(u), in.Counts); diff != "" || in.Newest != m.newest(u) {
				w.Fatalf("seed %d: user %d, newest %d, want %d: -want +got\n%s\n%v", seed, u, in.Newest, m.newest(u), diff, log)
			}
		}
		f := userkeys.NotificationFilter{UserID: u, Limit: 1 + r.IntN(20), Offset: r.IntN(3)}
		switch r.IntN(3) {
		case 0:
			f.Unread, f.UrgentFirst = true, r.IntN(2) == 0
		case 1:
			f.Read = true
		}
		if r.IntN(2) == 0 {
			f.Types = types[r.IntN(3):]
		}
		if len(m.notes) > 0 && r.IntN(2) == 0 {
			f.Before = m.notes[r.IntN(len(m.notes))].ID
		}
		if len(m.notes) > 0 && r.IntN(3) == 0 {
			f.After = m.notes[r.IntN(len(m.notes))].ID
		}
		ids, total := m.list(f)
		if got := w.ids(f); !slices.Equal(got, ids) {
			w.Fatalf("seed %d: %+v lists %v, want %v\n%v", seed, f, got, ids, log)
		}
		if got := must[int](w)(w.CountNotifications(w.ctx, f)); got != total {
			w.Fatalf("seed %d: %+v counts %d, want %d\n%v", seed, f, got, total, log)
		}
	}
}

// inboxInParallel: whoever writes at the same time, the counts are those of what is there,
// a user's ids come in the order of the versions, and nobody waits for each other in a circle.
func inboxInParallel(w *world) {
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
			u := users[r.IntN(4)]
			switch r.IntN(5) {
			case 0, 1:
				var to []string
				for _, j := range r.Perm(4)[:1+r.IntN(4)] { // in any order of names
					to = append(to, names[j])
				}
				a, err := w.AddNotifications(w.ctx, announce(note([]int{1, 2, 6}[r.IntN(3)], func(n *userkeys.Notification) {
					n.CreatedAt = noon.Add(-time.Duration(r.IntN(2)) * time.Hour)
				}), to...))
				if err != nil {
					return err
				}
				told.Add(int64(len(a.IDs)))
			case 2:
				if _, err := w.ReadNotifications(w.ctx, userkeys.NotificationMark{UserID: u, ID: 1 + int64(r.IntN(100))}); err != nil {
					return err
				}
			case 3:
				if _, err := w.ReadNotifications(w.ctx, userkeys.NotificationMark{UserID: u, Types: []int{1 + r.IntN(2)}}); err != nil {
					return err
				}
			case 4:
				if err := w.SeeNotifications(w.ctx, u, int64(r.IntN(200))); err != nil {
					return err
				}
				if i == 0 {
					gone, err := w.PurgeNotifications(w.ctx, noon)
					if err != nil {
						return err
					}
					told.Add(-int64(gone))
				}
			}
		}
		return nil
	}) {
		w.ok(err)
	}
	close(stop)
	w.ok(<-order)
	left := 0
	for _, u := range users {
		m := &naive{seen: map[int64]int64{u: w.inbox(u).Counts.SeenID}}
		m.notes = must[[]userkeys.Notification](w)(w.Notifications(w.ctx, userkeys.NotificationFilter{UserID: u, Limit: 10000}))
		slices.Reverse(m.notes)
		left += len(m.notes)
		if diff := gocmp.Diff(m.counts(u), w.inbox(u).Counts); diff != "" {
			w.Errorf("user %d: -want +got\n%s", u, diff)
		}
		if total := must[int](w)(w.CountNotifications(w.ctx, userkeys.NotificationFilter{UserID: u})); total != len(m.notes) {
			w.Errorf("user %d: %d are counted of %d", u, total, len(m.notes))
		}
	}
	if int64(left) != told.Load() {
		w.Errorf("%d are left of %d", left, told.Load())
	}
}

// idsInOrder looks on until stop: nothing may come in below what was seen to be the newest.
func (w *world) idsInOrder(userID int64, stop <-chan struct{}) error {
	known := map[int64]bool{}
	newest := int64(0)
	for {
		list, err := w.Notifications(w.ctx, userkeys.NotificationFilter{UserID: userID, Limit: 10000})
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
		default:
		}
	}
}
