package demo

import (
	"html"
	"slices"
	"strings"
	"sync"
	"time"
)

// Discourse's numbers for the kinds of notification that the board has.
const (
	typeMentioned = 1
	typeReplied   = 2
	typeLiked     = 5
	typeMessage   = 6
)

// A notification in Discourse's shape.
type notification struct {
	ID           int               `json:"id"`
	Type         int               `json:"notification_type"`
	Read         bool              `json:"read"`
	HighPriority bool              `json:"high_priority"`
	CreatedAt    time.Time         `json:"created_at"`
	TopicID      int               `json:"topic_id"`
	PostNumber   int               `json:"post_number"`
	FancyTitle   string            `json:"fancy_title"`
	Slug         string            `json:"slug"`
	Data         map[string]string `json:"data"`
}

type post struct {
	ID         int       `json:"id"`
	Username   string    `json:"username"`
	Raw        string    `json:"raw"`
	Cooked     string    `json:"cooked"`
	TopicID    int       `json:"topic_id"`
	TopicSlug  string    `json:"topic_slug"`
	PostNumber int       `json:"post_number"`
	CreatedAt  time.Time `json:"created_at"`
}

// Bounds of what the board remembers.
const (
	maxPosts         = 500
	maxNotifications = 100 // of one user
)

type member struct {
	id            int
	notifications []notification // newest first
}

// board is the site's memory. Users appear when they first call.
type board struct {
	mu      sync.Mutex
	start   time.Time
	nextID  int
	posts   []post // oldest first
	members map[string]*member
}

func newBoard(now time.Time) *board {
	b := &board{start: now.UTC().Truncate(time.Second), members: map[string]*member{}}
	b.addPost("alice", "Lost: one grey umbrella, last seen in the reading room.", b.start.Add(-26*time.Hour))
	b.addPost("bob", "Found an umbrella in the reading room. It is on the hook by the door.", b.start.Add(-25*time.Hour))
	b.addPost("alice", "The choir meets on Thursday this week, not on Friday.", b.start.Add(-3*time.Hour))
	b.addPost("bob", "Tomatoes to give away, more than we can eat. Ring at number 7.", b.start.Add(-40*time.Minute))
	return b
}

func (b *board) addPost(user, raw string, at time.Time) post {
	b.nextID++
	p := post{
		ID: b.nextID, Username: user, Raw: raw, Cooked: "<p>" + html.EscapeString(raw) + "</p>",
		TopicID: b.nextID, TopicSlug: "notice", PostNumber: 1, CreatedAt: at.UTC().Truncate(time.Second),
	}
	b.posts = append(b.posts, p)
	if len(b.posts) > maxPosts {
		b.posts = slices.Delete(b.posts, 0, len(b.posts)-maxPosts)
	}
	return p
}

// member finds or makes a user, with something to read. The caller holds the lock.
func (b *board) member(user string) *member {
	name := strings.ToLower(user)
	if m, ok := b.members[name]; ok {
		return m
	}
	m := &member{id: len(b.members) + 1}
	b.members[name] = m
	from := "bob"
	if name == from {
		from = "alice"
	}
	b.notify(m, typeLiked, from, "Lost: one grey umbrella", b.start.Add(-24*time.Hour))
	m.notifications[0].Read = true
	b.notify(m, typeReplied, from, "Found an umbrella in the reading room", b.start.Add(-2*time.Hour))
	b.notify(m, typeMentioned, from, "Tomatoes to give away", b.start.Add(-30*time.Minute))
	b.notify(m, typeMessage, from, "About Thursday", b.start.Add(-5*time.Minute))
	return m
}

func (b *board) notify(m *member, kind int, from, title string, at time.Time) {
	b.nextID++
	n := notification{
		ID: b.nextID, Type: kind, HighPriority: kind == typeMessage, CreatedAt: at.UTC().Truncate(time.Second),
		TopicID: b.nextID, PostNumber: 1, FancyTitle: html.EscapeString(title), Slug: "notice",
		Data: map[string]string{"topic_title": title, "display_username": from, "original_username": from},
	}
	m.notifications = slices.Insert(m.notifications, 0, n)
	m.notifications = m.notifications[:min(len(m.notifications), maxNotifications)]
}

func (b *board) userID(user string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.member(user).id
}

func (b *board) notificationsOf(user string) []notification {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.member(user).notifications)
}

// unread counts ordinary notifications and personal messages apart.
func (b *board) unread(user string) (ordinary, messages int) {
	for _, n := range b.notificationsOf(user) {
		switch {
		case n.Read:
		case n.Type == typeMessage:
			messages++
		default:
			ordinary++
		}
	}
	return ordinary, messages
}

// markRead marks one notification, or all if id is 0; false if the user has no such one.
func (b *board) markRead(user string, id int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.member(user).notifications
	found := id == 0
	for i := range list {
		if id == 0 || list[i].ID == id {
			list[i].Read, found = true, true
		}
	}
	return found
}

// latest is the newest n posts, newest first.
func (b *board) latest(n int) []post {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := slices.Clone(b.posts)
	slices.Reverse(out)
	return out[:min(n, len(out))]
}

// post adds a notice for everybody else who has been here, and returns their names.
func (b *board) post(user, raw string, now time.Time) (p post, others []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.member(user)
	p = b.addPost(user, raw, now)
	for name, m := range b.members {
		if name != strings.ToLower(user) {
			b.notify(m, typeReplied, user, titleOf(raw), now)
			others = append(others, name)
		}
	}
	return p, others
}

// titleOf is the beginning of a notice.
func titleOf(raw string) string {
	title := []rune(raw)
	return string(title[:min(len(title), 60)])
}
