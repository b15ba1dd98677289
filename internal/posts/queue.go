// Package posts keeps the posts that a person writes now and publishes later, in
// a queue beside the person's keys, and publishes each of them once.
//
// Errors are [userkeys.Error] whose public text is one line for the person.
package posts

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"userkeys"
	"userkeys/internal/keystore"
	"userkeys/internal/ownfile"
)

// A State is where a post stands on its way to the site.
type State string

// The states. Only a waiting post is ever sent.
const (
	Waiting State = "waiting" // for its time
	Sending State = "sending" // a request may be under way
	Sent    State = "sent"    // the site has it
	Unknown State = "unknown" // the site may have it: a person must look
	Failed  State = "failed"  // the site refused it
)

// A Post is a topic or a reply that was written to be published later. It has no key in it.
type Post struct {
	ID        string    `json:"id"`
	Site      string    `json:"site"`
	Account   string    `json:"account,omitempty"` // as in [keystore.Account]; empty for a key whose name is unknown
	Title     string    `json:"title,omitempty"`   // of a new topic
	Category  int       `json:"category,omitempty"`
	TopicID   int       `json:"topic_id,omitempty"` // to reply to
	Raw       string    `json:"raw"`
	At        time.Time `json:"at"`
	Every     Every     `json:"every,omitempty"`
	First     time.Time `json:"first,omitzero"`    // what Every counts from
	RetryAt   time.Time `json:"retry_at,omitzero"` // before that the site takes nothing
	State     State     `json:"state"`
	Tries     int       `json:"tries"`
	LastError string    `json:"last_error,omitempty"` // one line
	CreatedAt time.Time `json:"created_at"`
	SentAt    time.Time `json:"sent_at,omitzero"`
	Address   string    `json:"address,omitempty"` // of what was published last
}

// Owner is the account that the post is for, in words for people.
func (p Post) Owner() string { return keystore.Account{Site: p.Site, Name: p.Account}.String() }

// ready is when the post may be sent.
func (p Post) ready(now time.Time) time.Time {
	// Sites that say "later" mean a week at most: a longer wait is a clock that was set back.
	if wait := p.RetryAt.Sub(now); wait > 0 && wait <= maxRetryWait && p.RetryAt.After(p.At) {
		return p.RetryAt
	}
	return p.At
}

// Bounds of a queue.
const (
	postsVersion  = 1
	postsName     = "posts.json"
	maxPostsBytes = 64 << 20
	maxQueued     = 5000                         // posts that are not sent
	maxQueuedText = 16 << 20                     // bytes of all texts
	maxRaw        = 256 << 10                    // bytes of a text: more than any site takes
	maxTitle      = 255                          // characters
	keptSent      = 200                          // sent posts that are still listed
	maxRetryWait  = 7*24*time.Hour + time.Minute // what package client believes, rounded up
)

// Config says where the keys are and how sites are reached.
type Config struct {
	Keys     *keystore.Store // the queue lies in its folder
	Base     *http.Client    // carries requests; nil: one that never sends anything twice by itself
	Now      func() time.Time
	Location *time.Location // whose days daily and weekly are; nil: this machine's
}

// A Queue holds posts that are published later. A post is never sent twice unless a
// person says so: what may have reached the site is not sent again. A queue may be used
// by several programs at the same time, but not by several goroutines.
type Queue struct {
	cfg  Config
	file ownfile.File
}

// Open returns the queue beside the keys. Nothing is read yet.
func Open(cfg Config) *Queue {
	if cfg.Base == nil {
		cfg.Base = onceClient()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Location == nil {
		cfg.Location = time.Local
	}
	name := filepath.Join(filepath.Dir(cfg.Keys.Path()), postsName)
	return &Queue{cfg: cfg, file: ownfile.File{Name: name, Max: maxPostsBytes, Lost: "add again what it should post"}}
}

// Path is the queue's file.
func (q *Queue) Path() string { return q.file.Name }

// queueFile is posts.json.
type queueFile struct {
	Version int    `json:"version"`
	Posts   []Post `json:"posts"`
}

func (q *Queue) load() (queueFile, error) {
	f := queueFile{}
	there, err := q.file.Read(&f)
	if err != nil {
		return queueFile{}, err
	}
	if !there {
		return queueFile{Version: postsVersion}, nil
	}
	ids := map[string]bool{}
	for _, p := range f.Posts {
		if p.ID == "" || ids[p.ID] || !slices.Contains([]State{Waiting, Sending, Sent, Unknown, Failed}, p.State) {
			return queueFile{}, q.file.Unreadable()
		}
		ids[p.ID] = true
	}
	if f.Version != postsVersion {
		return queueFile{}, q.file.Unreadable()
	}
	return f, nil
}

// update changes the file while no other program does.
func (q *Queue) update(change func(*queueFile) error) error {
	unlock, err := q.file.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	f, err := q.load()
	if err != nil {
		return err
	}
	if err := change(&f); err != nil {
		return err
	}
	f.forgetOldest()
	return q.file.Write(f)
}

// change changes one post, and returns it as it is then.
func (q *Queue) change(id string, with func(*Post) error) (Post, error) {
	var after Post
	err := q.update(func(f *queueFile) error {
		p, err := f.find(id)
		if err != nil {
			return err
		}
		if err := with(p); err != nil {
			return err
		}
		after = *p
		return nil
	})
	return after, err
}

func (f *queueFile) find(id string) (*Post, error) {
	id = strings.ToLower(strings.TrimSpace(id))
	i := slices.IndexFunc(f.Posts, func(p Post) bool { return p.ID == id })
	if i < 0 {
		return nil, userkeys.Errorf(userkeys.NotFound, "there is no post %q; see userkeys post list", id)
	}
	return &f.Posts[i], nil
}

// forgetOldest bounds what is kept of posts that are done.
func (f *queueFile) forgetOldest() {
	var done []Post
	for _, p := range f.Posts {
		if p.State == Sent {
			done = append(done, p)
		}
	}
	if len(done) <= keptSent {
		return
	}
	slices.SortStableFunc(done, func(a, b Post) int { return a.SentAt.Compare(b.SentAt) })
	old := map[string]bool{}
	for _, p := range done[:len(done)-keptSent] {
		old[p.ID] = true
	}
	f.Posts = slices.DeleteFunc(f.Posts, func(p Post) bool { return old[p.ID] })
}

// newID is short, for people type it, and random, so that a slip does not hit another post. Base 32 has
// neither 0 nor 1.
func (f *queueFile) newID() string {
	for {
		id := strings.ToLower(rand.Text()[:4])
		if _, err := f.find(id); err != nil {
			return id
		}
	}
}

// Posts are all that the queue has, in the order of their times.
func (q *Queue) Posts() ([]Post, error) {
	f, err := q.load()
	slices.SortStableFunc(f.Posts, earlier)
	return f.Posts, err
}

// earlier orders posts; those of one time stay as they were added.
func earlier(a, b Post) int { return a.At.Compare(b.At) }

// A Draft is what a person wants posted. Title begins a topic, TopicID replies to one.
type Draft struct {
	Account  keystore.Account
	Title    string
	Category int
	TopicID  int
	Raw      string
	At       time.Time // zero: now
	Every    Every
}

// check tells what a site would refuse, while the person is still there.
func (d Draft) check() error {
	invalid := func(format string, args ...any) error {
		return userkeys.Errorf(userkeys.InvalidParameters, format, args...)
	}
	switch {
	case strings.TrimSpace(d.Raw) == "":
		return userkeys.Errorf(userkeys.MissingParameter, "there is no text to post")
	case !userkeys.IsStorable(d.Raw):
		return invalid("the text is not UTF-8")
	case len(d.Raw) > maxRaw:
		return invalid("the text is longer than %d bytes", maxRaw)
	case d.TopicID < 0 || d.Category < 0:
		return invalid("topics and categories have numbers above 0")
	case d.TopicID == 0 && strings.TrimSpace(d.Title) == "":
		return userkeys.Errorf(userkeys.MissingParameter, "a new topic needs a title, a reply the number of its topic")
	case d.TopicID != 0 && (d.Title != "" || d.Category != 0):
		return invalid("a reply has neither title nor category: give the topic's number, or a title")
	case !userkeys.IsText(d.Title) || utf8.RuneCountInString(d.Title) > maxTitle:
		return invalid("a title is one line of at most %d characters", maxTitle)
	}
	return nil
}

// Add puts a post into the queue.
func (q *Queue) Add(d Draft) (Post, error) {
	if err := d.check(); err != nil {
		return Post{}, err
	}
	now := q.cfg.Now()
	p := Post{
		Site: d.Account.Site, Account: d.Account.Name, Title: d.Title, Category: d.Category, TopicID: d.TopicID, Raw: d.Raw,
		At: toSeconds(d.At), Every: d.Every, State: Waiting, CreatedAt: toSeconds(now),
	}
	if d.At.IsZero() {
		p.At = p.CreatedAt
	}
	if d.Every != "" {
		p.First = p.At
	}
	err := q.update(func(f *queueFile) error {
		queued, text := 0, len(p.Raw)
		for _, old := range f.Posts {
			if old.State != Sent {
				queued, text = queued+1, text+len(old.Raw)
			}
		}
		if queued >= maxQueued || text > maxQueuedText {
			return userkeys.Errorf(userkeys.Conflict, "the queue is full; cancel something first")
		}
		p.ID = f.newID()
		f.Posts = append(f.Posts, p)
		return nil
	})
	return p, err
}

func toSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// Cancel takes a post out of the queue that is not being sent. One that was sent stays on the site.
func (q *Queue) Cancel(id string) (Post, error) {
	var p Post
	err := q.mending(func() error {
		return q.update(func(f *queueFile) error {
			found, err := f.find(id)
			if err != nil {
				return err
			}
			switch p = *found; p.State {
			case Sending:
				return beingSent(p)
			case Sent:
				return userkeys.Errorf(userkeys.Conflict, "%s was sent already, as %s; delete it there", p.ID,
					cmp.Or(p.Address, "a post that waits for approval"))
			}
			f.Posts = slices.DeleteFunc(f.Posts, func(o Post) bool { return o.ID == p.ID })
			return nil
		})
	})
	return p, err
}

func beingSent(p Post) error {
	return userkeys.Errorf(userkeys.Conflict, "%s is being sent just now; see userkeys post list in a minute", p.ID)
}

// A Resolution is what a person found out about a post whose fate was unknown.
type Resolution string

// The resolutions.
const (
	ItWasSent Resolution = "sent"  // the site has it
	SendAgain Resolution = "again" // the site has it not, or shall have it twice
)

// Resolve ends the state [Unknown] or [Failed] of a post by a person's word.
func (q *Queue) Resolve(id string, as Resolution) (Post, error) {
	var p Post
	err := q.mending(func() error {
		var err error
		p, err = q.change(id, func(p *Post) error {
			switch p.State {
			case Sending:
				return beingSent(*p)
			case Waiting, Sent:
				return userkeys.Errorf(userkeys.Conflict, "%s is %s; there is nothing to resolve", p.ID, p.State)
			}
			p.LastError, p.RetryAt = "", time.Time{}
			if as == SendAgain {
				p.State = Waiting
				return nil
			}
			p.Address = ""
			q.done(p)
			return nil
		})
		return err
	})
	return p, err
}

// done makes a post sent, or lets a repeated one wait for its next time.
func (q *Queue) done(p *Post) {
	now := q.cfg.Now()
	p.State, p.SentAt, p.LastError, p.RetryAt = Sent, toSeconds(now), "", time.Time{}
	if p.Every == "" {
		return
	}
	// Not before the time that is done now, even if the clock was set back since.
	after := p.At
	if now.After(after) {
		after = now
	}
	p.State, p.At = Waiting, p.Every.next(p.First, after, q.cfg.Location).UTC()
}
