package identity

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
	pairWindow = time.Hour        // of one account from one address
	pairLimit  = 20               // tries in it
	freeTries  = 5                // failures before each next one takes a wait
	maxWait    = 60 * time.Second // the longest of these waits
	hardLimit  = 100              // failures in a row of one account, from anywhere
	// strangerWindow is how long tries for a name that nobody has are
	// remembered; those of an account never end by themselves.
	strangerWindow = 30 * 24 * time.Hour
	// strangerDigits of a name's digest are its counter: invented names share
	// 65,536 of them, so that they cannot fill the table.
	strangerDigits = 4

	homeWindow    = 365 * 24 * time.Hour // how long a network is remembered as one's own
	networkWindow = time.Hour            // of all names together, from one network
	networkLimit  = 100                  // wrong passwords in it
	networkTurns  = 8                    // of the turns to hash, held or waited for by one network
)

// guessLimits counts the tries to sign in, and refuses those above the limits.
type guessLimits struct {
	store GuessStore
	now   func() time.Time

	mu  sync.Mutex
	key []byte // of the names of the counters; nil: not read yet
}

// guess has the names of the counters of one try to sign in.
type guess struct {
	account string // of the account, whichever of its names is tried, and whoever tries
	pair    string // of what was typed and the address
	wait    string // starts again with each try of the pair that is let through
	window  time.Duration
	home    string // whether the account has signed in from this network before
	network string // of the address, whatever is tried; empty where many people may share it
}

// newGuess finds the counters of a try: name is what was typed, in its canonical form, and a the account that has it,
// or the zero account.
//
// The waits, which a stranger soon runs into, go by what was typed alone: a name that nobody has is charged as one that
// somebody has, and nobody learns that a user name and an e-mail address are one person's. Only the limit that stops an
// account for good counts by the account. Strangers who have no name share counters there, but cannot know with whom.
//
// Tries from a network that the account has signed in from before have a
// counter of their own: else anybody could lock an account's owner out by
// failing a hundred times from elsewhere.
func (l *guessLimits) newGuess(ctx context.Context, address, name string, a site.Account) (guess, error) {
	key, err := l.siteKey(ctx)
	if err != nil {
		return guess{}, err
	}
	from := site.Network(address)
	g := guess{account: "name:" + digest(key, name)[:strangerDigits], window: strangerWindow}
	if a.ID != 0 {
		g = guess{account: accountCounter(a.ID)}
	}
	if tellsPeopleApart(from) {
		g.network = "network:" + digest(key, from)
	}
	g.home = "home:" + digest(key, g.account, from)
	known, _, err := l.store.Guesses(ctx, g.home)
	if err != nil {
		return guess{}, coded(err)
	}
	if known > 0 {
		g.account = "at home:" + digest(key, g.account, a.PasswordHash, from)
	}
	// With the password hash in it a new password begins new pairs: an
	// administrator who sets one also lifts the waits.
	pair := digest(key, "typed", name, a.PasswordHash, from)
	g.pair, g.wait = "pair:"+pair, "wait:"+pair
	return g, nil
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
func (l *guessLimits) siteKey(ctx context.Context) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.key == nil {
		key, err := l.store.Agree(ctx, guessKeyName, randomBytes(guessKeyBytes))
		if err != nil {
			return nil, coded(err)
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

// peek refuses a try that is sure to be refused, without writing: a flood of
// them costs reads only, and none of the turns to hash. It tells how often the
// pair has failed.
func (l *guessLimits) peek(ctx context.Context, g guess) (int, error) {
	now := l.now().UTC()
	if err := l.peekNetwork(ctx, g, now); err != nil {
		return 0, err
	}
	n, since, err := l.store.Guesses(ctx, g.account)
	if err != nil {
		return 0, coded(err)
	}
	if n >= hardLimit && (g.window == 0 || now.Sub(since) < g.window) {
		return 0, errLocked()
	}
	n, since, err = l.store.Guesses(ctx, g.pair)
	if err != nil {
		return 0, coded(err)
	}
	if left := since.Add(pairWindow).Sub(now); left <= 0 {
		n = 0
	} else if n >= pairLimit {
		return 0, errTooMany(left)
	}
	if n < freeTries {
		return n, nil
	}
	started, since, err := l.store.Guesses(ctx, g.wait)
	if err != nil {
		return 0, coded(err)
	}
	if left := since.Add(wait(n)).Sub(now); started > 0 && left > 0 {
		return 0, errTooMany(left)
	}
	return n, nil
}

// peekNetwork refuses a network that has been wrong too often, whatever the names.
func (l *guessLimits) peekNetwork(ctx context.Context, g guess, now time.Time) error {
	if g.network == "" {
		return nil
	}
	n, since, err := l.store.Guesses(ctx, g.network)
	if err != nil {
		return coded(err)
	}
	if left := since.Add(networkWindow).Sub(now); n >= networkLimit && left > 0 {
		return errTooMany(left)
	}
	return nil
}

// wrong notes a wrong password against the network that it came from. It is
// noted after the fact: the turns to hash bound how many run ahead.
func (l *guessLimits) wrong(ctx context.Context, g guess) error {
	if g.network == "" {
		return nil
	}
	_, _, err := l.store.ChargeAttempt(ctx, g.network, networkWindow, l.now().UTC())
	return coded(err)
}

// right forgets the failures of whoever got in and remembers the network.
func (l *guessLimits) right(ctx context.Context, g guess) error {
	if err := l.store.ForgetGuesses(ctx, g.account, g.pair, g.wait); err != nil {
		return coded(err)
	}
	_, _, err := l.store.ChargeAttempt(ctx, g.home, homeWindow, l.now().UTC())
	return coded(err)
}

// forget lets the owner of an account try again that was locked by failures from anywhere.
func (l *guessLimits) forget(ctx context.Context, userID int64) error {
	return coded(l.store.ForgetGuesses(ctx, accountCounter(userID)))
}

// charge counts a try before the password is looked at. Every count comes from
// one statement, so that of parallel tries no more than the limits get through.
func (l *guessLimits) charge(ctx context.Context, g guess) error {
	before, err := l.peek(ctx, g)
	if err != nil {
		return err
	}
	if before >= freeTries {
		if err := l.passWait(ctx, g, before); err != nil {
			return err
		}
	}
	now := l.now().UTC()
	n, since, err := l.store.ChargeAttempt(ctx, g.pair, pairWindow, now)
	if err != nil {
		return coded(err)
	}
	if n > pairLimit {
		return errTooMany(max(since.Add(pairWindow).Sub(now), time.Second))
	}
	// The try that begins the waits, or one that others overtook since the peek.
	if n >= freeTries && (before < freeTries || n-1 != before) {
		if err := l.passWait(ctx, g, n-1); err != nil {
			return err
		}
	}
	n, _, err = l.store.ChargeAttempt(ctx, g.account, g.window, now)
	if err != nil {
		return coded(err)
	}
	if n > hardLimit {
		return errLocked()
	}
	return nil
}

// passWait lets one try through per wait: the one that begins the next.
func (l *guessLimits) passWait(ctx context.Context, g guess, failures int) error {
	now := l.now().UTC()
	n, since, err := l.store.ChargeAttempt(ctx, g.wait, wait(failures), now)
	if err != nil {
		return coded(err)
	}
	if n > 1 {
		return errTooMany(max(since.Add(wait(failures)).Sub(now), time.Second))
	}
	return nil
}

// wait is how long after so many failures the next try may come: 1 s after
// the fifth, twice that after each more.
func wait(failures int) time.Duration {
	over := failures - freeTries
	if over <= 0 {
		return time.Second
	}
	if over >= 6 {
		return maxWait
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
