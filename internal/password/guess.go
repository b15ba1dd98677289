package password

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"userkeys"
	"userkeys/site"
)

// Limits on guessing a password. They are counted in the store, so that a
// restart, another node or a flood of invented names forgets nothing.
const (
	// PairLimit is how many tries of one account from one address there are in an hour.
	PairLimit  = 20
	pairWindow = time.Hour
	// FreeTries is how many failures there are before each next try takes a wait.
	FreeTries = 5
	// MaxWait is the longest of these waits.
	MaxWait = 60 * time.Second
	// HardLimit is how many failures in a row of one account, from anywhere, stop it.
	HardLimit = 100
	// NetworkLimit is how many wrong passwords one network may try in NetworkWindow, of all names together.
	NetworkLimit = 100
	// NetworkWindow is the time in which NetworkLimit counts.
	NetworkWindow = time.Hour

	// strangerWindow is how long tries for a name that nobody has are
	// remembered; those of an account never end by themselves.
	strangerWindow = 30 * 24 * time.Hour
	// strangerDigits of a name's digest are its counter: invented names share
	// 65,536 of them, so that they cannot fill the table.
	strangerDigits = 4

	homeWindow = 365 * 24 * time.Hour // how long a network is remembered as one's own
)

// Guesses counts the tries to sign in, and refuses those above the limits.
type Guesses struct {
	store GuessStore
	now   func() time.Time

	mu  sync.Mutex
	key []byte // of the names of the counters; nil: not read yet
}

// A Guess has the names of the counters of one try to sign in.
type Guess struct {
	Account string // of the account, whichever of its names is tried, and whoever tries
	Pair    string // of what was typed and the address
	Wait    string // starts again with each try of the pair that is let through
	window  time.Duration
	home    string // whether the account has signed in from this network before
	Network string // of the address, whatever is tried; empty where many people may share it
}

// New finds the counters of a try: name is what was typed, in its canonical form, and a the account that has it,
// or the zero account.
//
// The waits, which a stranger soon runs into, go by what was typed alone: a name that nobody has is charged as one that
// somebody has, and nobody learns that a user name and an e-mail address are one person's. Only the limit that stops an
// account for good counts by the account. Strangers who have no name share counters there, but cannot know with whom.
//
// Tries from a network that the account has signed in from before have a
// counter of their own: else anybody could lock an account's owner out by
// failing a hundred times from elsewhere.
func (l *Guesses) New(ctx context.Context, address, name string, a site.Account) (Guess, error) {
	key, err := l.siteKey(ctx)
	if err != nil {
		return Guess{}, err
	}
	from := site.Network(address)
	g := Guess{Account: "name:" + digest(key, name)[:strangerDigits], window: strangerWindow}
	if a.ID != 0 {
		g = Guess{Account: accountCounter(a.ID)}
	}
	if tellsPeopleApart(from) {
		g.Network = "network:" + digest(key, from)
	}
	g.home = "home:" + digest(key, g.Account, from)
	known, _, err := l.store.Guesses(ctx, g.home)
	if err != nil {
		return Guess{}, err
	}
	if known > 0 {
		g.Account = "at home:" + digest(key, g.Account, a.PasswordHash, from)
	}
	// With the password hash in it a new password begins new pairs: an
	// administrator who sets one also lifts the waits.
	pair := digest(key, "typed", name, a.PasswordHash, from)
	g.Pair, g.Wait = "pair:"+pair, "wait:"+pair
	return g, nil
}

// NewGuesses returns the limits that are counted in store, by the clock now.
func NewGuesses(store GuessStore, now func() time.Time) *Guesses {
	return &Guesses{store: store, now: now}
}

// tellsPeopleApart is false for addresses that a proxy before this server
// gives to everybody: what one of them does must not be held against the others.
func tellsPeopleApart(network string) bool {
	host, _, _ := strings.Cut(network, "/")
	a, err := netip.ParseAddr(host)
	return err == nil && !a.IsLoopback() && !a.IsPrivate() && !a.IsLinkLocalUnicast()
}

func accountCounter(userID int64) string { return "user:" + strconv.FormatInt(userID, 10) }

const (
	guessKeyName  = "key of guesses" // in the store
	guessKeyBytes = 32
)

// siteKey is the site's key for the names of its counters. The first node makes it, and all have the same.
func (l *Guesses) siteKey(ctx context.Context) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.key == nil {
		key, err := l.store.Agree(ctx, guessKeyName, randomBytes(guessKeyBytes))
		if err != nil {
			return nil, err
		}
		l.key = key
	}
	return l.key, nil
}

// digest keeps names and addresses out of the table and bounds their length. With the site's key in it nobody else can
// compute which names have a counter in common.
func digest(key []byte, parts ...string) string {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		_, _ = h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Peek refuses a try that is sure to be refused, without writing: a flood of
// them costs reads only, and none of the turns to hash. It tells how often the
// pair has failed.
func (l *Guesses) Peek(ctx context.Context, g Guess) (int, error) {
	now := l.now().UTC()
	if err := l.peekNetwork(ctx, g, now); err != nil {
		return 0, err
	}
	n, since, err := l.store.Guesses(ctx, g.Account)
	if err != nil {
		return 0, err
	}
	if n >= HardLimit && (g.window == 0 || now.Sub(since) < g.window) {
		return 0, errLocked()
	}
	n, since, err = l.store.Guesses(ctx, g.Pair)
	if err != nil {
		return 0, err
	}
	if left := since.Add(pairWindow).Sub(now); left <= 0 {
		n = 0
	} else if n >= PairLimit {
		return 0, errTooMany(left)
	}
	if n < FreeTries {
		return n, nil
	}
	started, since, err := l.store.Guesses(ctx, g.Wait)
	if err != nil {
		return 0, err
	}
	if left := since.Add(wait(n)).Sub(now); started > 0 && left > 0 {
		return 0, errTooMany(left)
	}
	return n, nil
}

// peekNetwork refuses a network that has been wrong too often, whatever the names.
func (l *Guesses) peekNetwork(ctx context.Context, g Guess, now time.Time) error {
	if g.Network == "" {
		return nil
	}
	n, since, err := l.store.Guesses(ctx, g.Network)
	if err != nil {
		return err
	}
	if left := since.Add(NetworkWindow).Sub(now); n >= NetworkLimit && left > 0 {
		return errTooMany(left)
	}
	return nil
}

// Wrong notes a wrong password against the network that it came from. It is
// noted after the fact: the turns to hash bound how many run ahead.
func (l *Guesses) Wrong(ctx context.Context, g Guess) error {
	if g.Network == "" {
		return nil
	}
	_, _, err := l.store.ChargeAttempt(ctx, g.Network, NetworkWindow, l.now().UTC())
	return err
}

// Right forgets the failures of whoever got in and remembers the network.
func (l *Guesses) Right(ctx context.Context, g Guess) error {
	if err := l.store.ForgetGuesses(ctx, g.Account, g.Pair, g.Wait); err != nil {
		return err
	}
	_, _, err := l.store.ChargeAttempt(ctx, g.home, homeWindow, l.now().UTC())
	return err
}

// Forget lets the owner of an account try again that was locked by failures from anywhere.
func (l *Guesses) Forget(ctx context.Context, userID int64) error {
	return l.store.ForgetGuesses(ctx, accountCounter(userID))
}

// Charge counts a try before the password is looked at. Every count comes from
// one statement, so that of parallel tries no more than the limits get through.
func (l *Guesses) Charge(ctx context.Context, g Guess) error {
	before, err := l.Peek(ctx, g)
	if err != nil {
		return err
	}
	if before >= FreeTries {
		if err := l.passWait(ctx, g, before); err != nil {
			return err
		}
	}
	now := l.now().UTC()
	n, since, err := l.store.ChargeAttempt(ctx, g.Pair, pairWindow, now)
	if err != nil {
		return err
	}
	if n > PairLimit {
		return errTooMany(max(since.Add(pairWindow).Sub(now), time.Second))
	}
	// The try that begins the waits, or one that others overtook since the peek.
	if n >= FreeTries && (before < FreeTries || n-1 != before) {
		if err := l.passWait(ctx, g, n-1); err != nil {
			return err
		}
	}
	n, _, err = l.store.ChargeAttempt(ctx, g.Account, g.window, now)
	if err != nil {
		return err
	}
	if n > HardLimit {
		return errLocked()
	}
	return nil
}

// passWait lets one try through per wait: the one that begins the next.
func (l *Guesses) passWait(ctx context.Context, g Guess, failures int) error {
	now := l.now().UTC()
	n, since, err := l.store.ChargeAttempt(ctx, g.Wait, wait(failures), now)
	if err != nil {
		return err
	}
	if n > 1 {
		return errTooMany(max(since.Add(wait(failures)).Sub(now), time.Second))
	}
	return nil
}

// wait is how long after so many failures the next try may come: 1 s after
// the fifth, twice that after each more.
func wait(failures int) time.Duration {
	over := failures - FreeTries
	if over <= 0 {
		return time.Second
	}
	if over >= 6 {
		return MaxWait
	}
	return time.Second << over
}

func errTooMany(left time.Duration) error {
	e := userkeys.Errorf(userkeys.RateLimited, "too many wrong passwords")
	e.RetryAfter = left
	return e
}

// errLocked looks the same for a name that nobody has.
func errLocked() error {
	return userkeys.Errorf(userkeys.RateLimited, "too many wrong passwords in a row for this account; "+
		"ask an administrator of this site to set a new password")
}

// GuessStore counts failed logins. A guess is charged before the password is
// looked at, in one statement, so that parallel guesses cannot outrun it.
type GuessStore interface {
	// ChargeAttempt adds one to the count of name within its window and returns
	// the new count and when the window began. A window older than its length begins anew;
	// length 0 never does.
	ChargeAttempt(
		ctx context.Context, name string, window time.Duration, at time.Time,
	) (count int, since time.Time, err error)
	// Guesses is the count of name and when its window began, without charging;
	// zeros if there is none. Whether the window is over is the caller's to judge.
	Guesses(ctx context.Context, name string) (count int, since time.Time, err error)
	ForgetGuesses(ctx context.Context, names ...string) error
	// Agree stores a value under a name unless there is one, and returns the one that is stored.
	Agree(ctx context.Context, name string, value []byte) ([]byte, error)
}
