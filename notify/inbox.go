// Package notify stores the notifications of a site's users and announces them to open requests. The site's program
// adds notifications; users, and apps with their keys, read them.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"userkeys"
	"userkeys/internal/jobs"
	"userkeys/site"
)

// Store stores notifications and what users have read of them. The store package has it.
type Store interface {
	BusStore
	// AddNotifications writes a notification for every one of the users, with the deliveries of their pushes and one audit
	// event, in one transaction. Errors: [userkeys.Unprocessable] if nobody has one of the names, [userkeys.Conflict] if
	// another call had the idempotency key; nothing is written then.
	AddNotifications(ctx context.Context, a site.Announcement) (site.Announced, error)
	// CountNotifications counts what a filter's list has without Before, Offset and Limit.
	CountNotifications(ctx context.Context, f site.NotificationFilter) (int, error)
	// SeeNotifications moves the marker up to id; it never goes back.
	SeeNotifications(ctx context.Context, userID, id int64) error
	// ReadNotifications marks as read, and returns how many were not. Unless it is one of ID only, it moves the marker to
	// the newest as well.
	ReadNotifications(ctx context.Context, m site.NotificationsToRead) (int, error)
	// SetQuiet sets until when nothing is pushed to a user; the zero time ends it. Errors: [userkeys.NotFound] if there is
	// no such user.
	SetQuiet(ctx context.Context, userID int64, until, at time.Time) error
	// PurgeNotifications deletes those from before a time, and returns how many.
	PurgeNotifications(ctx context.Context, before time.Time) (int, error)
}

// Config is what [Open] needs.
type Config struct {
	Store Store
	// Jobs lets all nodes agree on which one forgets old notifications. [Inbox.Run] needs it.
	Jobs     jobs.Store
	Settings func() site.Settings // the site settings of the moment; nil: nothing is pushed, and nothing forgotten
	// Origin is the site's own, such as https://site.example, where links of messages may lead; empty: only paths are
	// links.
	Origin string
	Now    func() time.Time // nil: the system's clock
	Logger *slog.Logger     // nil: none
	// Changed is called after every change to the inboxes of users; nil: nobody but Bus is told.
	Changed func(userIDs ...int64)
	// Queued is called after something was queued to be pushed, see outbox.Pushes.Wake; nil: nobody is told.
	Queued func()
}

// Inbox is the notifications of a site. Make one with [Open], and keep [Inbox.Run] running.
type Inbox struct {
	Bus *Bus // tells open polls and event streams

	cfg Config
}

// Open returns the inbox of a site, with its message bus.
func Open(cfg Config) *Inbox {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Changed == nil {
		cfg.Changed = func(...int64) {}
	}
	if cfg.Queued == nil {
		cfg.Queued = func() {}
	}
	return &Inbox{NewBus(BusConfig{Store: cfg.Store, Origin: cfg.Origin, Logger: cfg.Logger}), cfg}
}

// changed announces to everybody who waits that the inboxes of users have changed.
func (in *Inbox) changed(userIDs ...int64) {
	in.Bus.Changed(userIDs...)
	in.cfg.Changed(userIDs...)
}

// List is a page of a user's notifications.
type List struct {
	Notifications []site.Notification
	Total         int   // with all pages
	SeenID        int64 // the newest notification when the user looked last
}

// The sizes of a page.
const (
	MaxPage    = 60
	RecentPage = 15
	maxOffset  = 10_000

	maxIdempotencyKey = 255 // bytes
	maxFrom           = 100 // characters of the site's title, where a notification names nobody
)

// Add notifies users: all of them, or none if it returns an error. The notification needs a type unless the message
// has a title. Add sets its ID, UserID, Read and CreatedAt. Whether it is pushed depends on the settings and on
// a.Push or, if that is nil, on the type. Types of high priority are always urgent. A notification that names nobody
// is from the site, by its title, because apps show the member display_username without checking that it exists.
//
// Errors: [userkeys.InvalidParameters]; [userkeys.Unprocessable] if nobody has one of the names; [userkeys.Conflict]
// if a different call had the idempotency key.
func (in *Inbox) Add(ctx context.Context, a site.Announcement) (site.Announced, error) {
	var none site.Announced
	if len(a.Usernames) == 0 || len(a.Usernames) > site.MaxNotificationUsers {
		return none, userkeys.Errorf(userkeys.InvalidParameters,
			"there must be 1 to %d user names", site.MaxNotificationUsers)
	}
	if len(a.IdempotencyKey) > maxIdempotencyKey || !userkeys.IsText(a.IdempotencyKey) {
		return none, userkeys.Errorf(userkeys.InvalidParameters,
			"an idempotency key is one line of at most %d bytes", maxIdempotencyKey)
	}
	if a.Message.From == "" && in.cfg.Settings != nil && !namesSomebody(a.Notification.Data) {
		a.Message.From = line(in.cfg.Settings().Title, maxFrom)
	}
	n, err := a.Message.Notification(a.Notification, in.cfg.Origin)
	if err != nil {
		return none, err
	}
	if len(n.Data) == 0 {
		n.Data = json.RawMessage("{}")
	}
	var data bytes.Buffer
	if err := json.Compact(&data, n.Data); err != nil {
		return none, userkeys.Errorf(userkeys.InvalidParameters, "data must be a JSON object")
	}
	n.Data = data.Bytes()
	n.HighPriority = n.HighPriority || site.UrgentType(n.Type)
	n.ID, n.UserID, n.Read, n.CreatedAt = 0, 0, false, in.cfg.Now()
	if err := n.Check(); err != nil {
		return none, err
	}
	a.Notification, a.PushBy = n, nil
	if pushed := site.PushedType(n.Type); in.cfg.Settings != nil && (a.Push == nil && pushed || a.Push != nil && *a.Push) {
		set := in.cfg.Settings()
		a.PushBy = &set
	}
	told, err := in.cfg.Store.AddNotifications(ctx, a)
	if err != nil || told.Repeated {
		return told, err
	}
	in.changed(told.UserIDs...)
	if told.Queued > 0 {
		in.cfg.Queued()
	}
	return told, nil
}

// namesSomebody reports whether the data of a notification has a member that apps show as its author.
func namesSomebody(data json.RawMessage) bool {
	for name := range site.ParseMembers(data) {
		if strings.HasSuffix(name, "username") || name == "group_name" {
			return true
		}
	}
	return false
}

// Page lists at most [MaxPage] notifications, newest first.
func (in *Inbox) Page(ctx context.Context, f site.NotificationFilter) (List, error) {
	var l List
	if err := checkPage(f); err != nil {
		return l, err
	}
	state, err := in.cfg.Store.InboxState(ctx, f.UserID)
	if err != nil {
		return l, err
	}
	l.SeenID = state.Counts.SeenID
	if l.Total, err = in.cfg.Store.CountNotifications(ctx, f); err != nil {
		return l, err
	}
	l.Notifications, err = in.cfg.Store.Notifications(ctx, f)
	return l, err
}

func checkPage(f site.NotificationFilter) error {
	if f.Limit < 1 || f.Limit > MaxPage {
		return userkeys.Errorf(userkeys.InvalidParameters, "limit must be a number from 1 to %d", MaxPage)
	}
	if f.Offset < 0 || f.Offset > maxOffset {
		return userkeys.Errorf(userkeys.InvalidParameters,
			"offset must be a number from 0 to %d; the address in load_more_notifications leads further", maxOffset)
	}
	return nil
}

// Recent lists what a menu shows: first unread urgent notifications, then other unread ones, then read ones. Unless
// silent, it moves the marker of the user to the newest. SeenID is where the marker was before, so that the caller
// can tell which notifications are new.
func (in *Inbox) Recent(ctx context.Context, f site.NotificationFilter, silent bool) (List, error) {
	var l List
	if err := checkPage(f); err != nil {
		return l, err
	}
	state, err := in.cfg.Store.InboxState(ctx, f.UserID)
	if err != nil {
		return l, err
	}
	seen, newest := state.Counts.SeenID, state.Newest
	l.SeenID = seen
	for _, part := range []site.NotificationFilter{
		{Unread: true, UrgentFirst: true, UserID: f.UserID, Types: f.Types, Limit: f.Limit},
		{Read: true, UserID: f.UserID, Types: f.Types, Limit: f.Limit},
	} {
		if part.Read && f.Unread || part.Unread && f.Read || len(l.Notifications) >= f.Limit {
			continue
		}
		part.Limit -= len(l.Notifications)
		more, err := in.cfg.Store.Notifications(ctx, part)
		if err != nil {
			return l, err
		}
		for _, n := range more { // one that was read meanwhile is in both
			if !slices.ContainsFunc(l.Notifications, func(o site.Notification) bool { return o.ID == n.ID }) {
				l.Notifications = append(l.Notifications, n)
			}
		}
	}
	if silent || newest <= seen || len(l.Notifications) == 0 {
		return l, nil
	}
	if err := in.cfg.Store.SeeNotifications(ctx, f.UserID, newest); err != nil {
		return l, err
	}
	in.changed(f.UserID)
	return l, nil
}

// Counts returns how many notifications of a user are unread.
func (in *Inbox) Counts(ctx context.Context, userID int64) (site.NotificationCounts, error) {
	state, err := in.cfg.Store.InboxState(ctx, userID)
	return state.Counts, err
}

// State reads the inbox of a user at one moment, and until when "do not disturb" is on.
//
// Errors: [userkeys.NotFound] if there is no such user.
func (in *Inbox) State(ctx context.Context, userID int64) (site.Inbox, error) {
	return in.cfg.Store.InboxState(ctx, userID)
}

// MarkRead marks notifications as read: one, those of some types, or all. A notification that is read already, was
// deleted, or belongs to another user is ignored.
func (in *Inbox) MarkRead(ctx context.Context, m site.NotificationsToRead) error {
	n, err := in.cfg.Store.ReadNotifications(ctx, m)
	if n > 0 || err == nil && m.ID == 0 { // the marker may have moved
		in.changed(m.UserID)
	}
	return err
}

// maxQuiet is the longest time for which "do not disturb" can be on.
const maxQuiet = 7 * 24 * time.Hour

// Quiet holds pushes to a user back until a time. The zero time, or one that has passed, ends that.
//
// Errors: [userkeys.InvalidParameters] if the time is more than a week from now, [userkeys.NotFound] if there is no
// such user.
func (in *Inbox) Quiet(ctx context.Context, userID int64, until time.Time) error {
	now := in.cfg.Now()
	if until.After(now.Add(maxQuiet)) {
		return userkeys.Errorf(userkeys.InvalidParameters, "do not disturb lasts a week at most")
	}
	if !until.After(now) {
		until = time.Time{}
	}
	if err := in.cfg.Store.SetQuiet(ctx, userID, until, now); err != nil {
		return err
	}
	in.cfg.Queued() // what was held back may be due
	return nil
}

// Run announces on [Inbox.Bus] what other nodes write, and deletes old notifications once a day, on one node for all,
// until ctx ends.
func (in *Inbox) Run(ctx context.Context) error {
	if in.cfg.Jobs == nil {
		return errors.New("notify: an inbox without Jobs cannot run")
	}
	runner := jobs.Runner{Store: in.cfg.Jobs, Now: in.cfg.Now, Logger: in.cfg.Logger}
	forget := jobs.Job{Name: "forgetting old notifications", Every: 24 * time.Hour, Do: in.forget}
	var forgetting sync.WaitGroup
	forgetting.Go(func() { runner.Run(ctx, forget) })
	err := in.Bus.Run(ctx)
	forgetting.Wait()
	return err
}

// forget is [Inbox.Purge] as a job.
func (in *Inbox) forget(ctx context.Context) error {
	n, err := in.Purge(ctx)
	if n > 0 {
		in.cfg.Logger.InfoContext(ctx, "old notifications are forgotten", "number", n)
	}
	return err
}

// Purge deletes notifications that are older than the setting notification_retention_days, read or not, and returns
// how many. Once a day on one node of a site is enough.
func (in *Inbox) Purge(ctx context.Context) (int, error) {
	if in.cfg.Settings == nil {
		return 0, nil
	}
	days := in.cfg.Settings().NotificationRetentionDays
	if days <= 0 {
		return 0, nil
	}
	return in.cfg.Store.PurgeNotifications(ctx, in.cfg.Now().AddDate(0, 0, -days))
}
