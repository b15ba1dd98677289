package notify

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"userkeys"
	"userkeys/internal/jobs"
	"userkeys/site"
)

// BusStore is what a message bus reads. The store package has it.
type BusStore interface {
	// InboxState is the state of a user's inbox at one moment. [userkeys.NotFound] for no such user.
	InboxState(ctx context.Context, userID int64) (site.Inbox, error)
	// InboxVersions are the versions of many inboxes; users who never had anything are absent.
	InboxVersions(ctx context.Context, userIDs []int64) (map[int64]int64, error)
	// Notifications lists a user's notifications.
	Notifications(ctx context.Context, f site.NotificationFilter) ([]site.Notification, error)
}

// How many may listen at a time.
const (
	defaultMaxListeners = 20_000
	maxPerLogin         = 6  // of one key or session: a browser has no more connections to a site
	maxPerUser          = 64 // so that no user takes the place of all
	// tooManyWait is when one who was refused may ask again: what message-bus-client waits at least.
	tooManyWait = 15 * time.Second
	// maxReadings is how many inboxes are read at a time, while the bus runs. However many apps come back at once, as
	// after a restart, the database has time for the checks of keys: without that every open poll would be cut.
	maxReadings = 4
)

// How often the database is asked for changes that other processes made. A round
// reads a row for each user who waits here.
const (
	fastRound    = 250 * time.Millisecond
	slowRound    = time.Second
	usersInARush = 1000 // up to so many rounds are fast
	roundTime    = 5 * time.Second
)

// BusConfig is what a [Bus] is made of.
type BusConfig struct {
	Store        BusStore
	Origin       string       // the site's own, such as https://site.example, where alerts may lead; empty: to paths only
	MaxListeners int          // on this node; 0: 20 000
	Logger       *slog.Logger // nil: none
}

// Bus announces changes of inboxes to open requests, in the manner of Discourse's message bus. It stores no messages:
// a position on a channel is a version of the inbox or the id of a notification, and what is above a position is read
// from the database. So it makes no difference which node or process wrote it, or whether anybody listened. Make one
// with [NewBus] and keep [Bus.Run] running.
type Bus struct {
	cfg   BusConfig
	stir  chan struct{} // somebody listens now
	asked chan *request // for the readers that Run has

	mu      sync.Mutex
	running chan struct{} // closed when Run ends; nil while it does not run
	users   map[int64]*audience
	logins  map[login]int
	clients map[clientOf]*Listener // the newest of each client
	open    int
	closed  bool
}

// login is a key or a session of a user.
type login struct {
	userID, key int64
	session     string
}

func loginOf(c site.Caller) login {
	if c.Key != 0 {
		return login{userID: c.User.ID, key: c.Key}
	}
	return login{userID: c.User.ID, session: c.Session.ID}
}

// clientOf is a client of a login. It contains the login so that no login can end the poll of another.
type clientOf struct {
	login
	client string
}

// audience is the listeners to one inbox.
type audience struct {
	version   int64 // that somebody here has read; -1: nobody yet
	listeners []*Listener
}

// NewBus makes a bus.
func NewBus(cfg BusConfig) *Bus {
	if cfg.MaxListeners == 0 {
		cfg.MaxListeners = defaultMaxListeners
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Bus{
		cfg: cfg, stir: make(chan struct{}, 1), asked: make(chan *request),
		users: map[int64]*audience{}, logins: map[login]int{}, clients: map[clientOf]*Listener{},
	}
}

// Subscriber is somebody who wants to listen.
type Subscriber struct {
	Caller site.Caller // the user, with a key or a session
	// Client and Seq are of a poll: the client's name of itself, and the poll's number. A later poll of the same client
	// ends an earlier one. Empty: there is no other.
	Client string
	Seq    int64
}

// Listener waits for news of one inbox. It is for one goroutine at a time.
type Listener struct {
	bus  *Bus
	who  clientOf
	seq  int64
	subs []Subscription
	wake chan struct{} // has one when there may be news

	// Guarded by bus.mu.
	over, gone bool
}

// Listen begins to listen. What changes from now on wakes the listener, so call [Listener.Read] first. Call
// [Listener.Close] at the end.
//
// Errors: [userkeys.RateLimited] if too many listen already, [userkeys.Unavailable] if the bus is closed.
func (b *Bus) Listen(who Subscriber, subs []Subscription) (*Listener, error) {
	by := loginOf(who.Caller)
	l := &Listener{bus: b, who: clientOf{by, who.Client}, seq: who.Seq, subs: subs, wake: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, &userkeys.Error{
			Code: userkeys.Unavailable, Public: "this server is stopping; ask again", RetryAfter: time.Second,
		}
	}
	if b.isLate(l) {
		l.over, l.gone = true, true
		return l, nil
	}
	a := b.users[by.userID]
	if a == nil {
		a = &audience{version: -1}
	}
	if b.open >= b.cfg.MaxListeners || b.logins[by] >= maxPerLogin || len(a.listeners) >= maxPerUser {
		return nil, &userkeys.Error{
			Code: userkeys.RateLimited, Reason: "limit: open polls", RetryAfter: tooManyWait,
			Public: "too many polls and event streams are open",
		}
	}
	if b.open == 0 {
		poke(b.stir)
	}
	b.open++
	b.logins[by]++
	a.listeners = append(a.listeners, l)
	b.users[by.userID] = a
	if who.Client != "" {
		b.clients[l.who] = l
	}
	return l, nil
}

// isLate ends the earlier poll of the client of l, or reports that l is the earlier one, since polls can overtake
// each other on the network. The caller holds b.mu.
func (b *Bus) isLate(l *Listener) bool {
	if l.who.client == "" {
		return false
	}
	other := b.clients[l.who]
	if other == nil {
		return false
	}
	if other.seq > l.seq {
		return true
	}
	other.end()
	return false
}

// Read returns what is new to the listener since the last Read.
func (l *Listener) Read(ctx context.Context) ([]Message, error) {
	messages, version, err := l.bus.read(ctx, l.who.userID, l.subs)
	if err != nil {
		return nil, err
	}
	l.bus.saw(l, version)
	return messages, nil
}

// Wait waits for a change, and returns true when there may be news. It returns false if until fires, or if ctx or the
// listening ends.
func (l *Listener) Wait(ctx context.Context, until <-chan time.Time) bool {
	if l.Over() {
		return false
	}
	select {
	case <-l.wake:
		return !l.Over()
	case <-until:
	case <-ctx.Done():
	}
	return false
}

// Over reports whether the listening has ended, by a later poll of the same client or because the server stops.
func (l *Listener) Over() bool {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	return l.over
}

// Close ends the listening.
func (l *Listener) Close() {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	l.end()
}

// end removes l and wakes it. The caller holds bus.mu.
func (l *Listener) end() {
	l.over = true
	poke(l.wake)
	if l.gone {
		return
	}
	l.gone = true
	b, by := l.bus, l.who.login
	b.open--
	if b.logins[by]--; b.logins[by] == 0 {
		delete(b.logins, by)
	}
	if b.clients[l.who] == l {
		delete(b.clients, l.who)
	}
	a := b.users[l.who.userID]
	a.listeners = slices.DeleteFunc(a.listeners, func(o *Listener) bool { return o == l })
	if len(a.listeners) == 0 {
		delete(b.users, l.who.userID)
	}
}

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it has one already
	}
}

// Changed wakes the listeners to the inboxes of users. It does not block.
func (b *Bus) Changed(userIDs ...int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range userIDs {
		if a := b.users[id]; a != nil {
			a.tell(nil)
		}
	}
}

// tell wakes all listeners but one.
func (a *audience) tell(but *Listener) {
	for _, l := range a.listeners {
		if l != but {
			poke(l.wake)
		}
	}
}

// saw notes the version that l has read. If it is newer than what others have read, it wakes them.
func (b *Bus) saw(l *Listener, version int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.users[l.who.userID]; a != nil && !l.gone && version > a.version {
		a.version = version
		a.tell(l)
	}
}

// Close ends all listening and prevents new listening, for a server that stops.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, a := range b.users {
		for _, l := range slices.Clone(a.listeners) {
			l.end()
		}
	}
}

// Listeners returns how many listen now.
func (b *Bus) Listeners() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// Run reads inboxes for listeners, and looks for changes that other nodes and processes wrote, until ctx ends. While
// nobody listens it does not use the database.
func (b *Bus) Run(ctx context.Context) error {
	defer b.startReaders()()
	failing := false
	for {
		known := b.waiting()
		if known == nil {
			select {
			case <-b.stir:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		if !jobs.Pause(ctx, roundPause(len(known), failing)) {
			return nil
		}
		err := b.round(ctx)
		if err != nil && !failing {
			b.cfg.Logger.WarnContext(ctx, "message bus: cannot look for news", "error", err)
		}
		failing = err != nil
	}
}

// roundPause returns how long to wait before a round over a number of users: 250 ms for up to a thousand, and longer
// for more.
func roundPause(users int, failing bool) time.Duration {
	if failing {
		return slowRound
	}
	return min(max(fastRound, fastRound*time.Duration(users)/usersInARush), slowRound)
}

// waiting returns the users who are listened to, with the versions that were read, or nil if there are none.
func (b *Bus) waiting() map[int64]int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.users) == 0 {
		return nil
	}
	known := make(map[int64]int64, len(b.users))
	for id, a := range b.users {
		known[id] = a.version
	}
	return known
}

// round asks the database once for the versions of inboxes. It leaves out inboxes whose first reading has not ended,
// because that reading will see the newest state.
func (b *Bus) round(ctx context.Context) error {
	known := b.waiting()
	ids := make([]int64, 0, len(known))
	for id, version := range known {
		if version >= 0 {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	versions, err := b.cfg.Store.InboxVersions(ctx, ids)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		// Lower is news too: the database may be an older one that was brought back.
		if a := b.users[id]; a != nil && a.version >= 0 && a.version != versions[id] && known[id] != versions[id] {
			a.version = versions[id]
			a.tell(nil)
		}
	}
	return nil
}
