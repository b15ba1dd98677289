package demo

import (
	"html"
	"slices"
	"sync"
	"time"
)

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

// maxPosts bounds what the board stores.
const maxPosts = 500

// A board stores the site's notices in memory.
type board struct {
	mu     sync.Mutex
	nextID int
	posts  []post // oldest first
}

func newBoard(now time.Time) *board {
	b := &board{}
	b.post("alice", "Lost: one grey umbrella, last seen in the reading room.", now.Add(-26*time.Hour))
	b.post("bob", "Found an umbrella in the reading room. It is on the hook by the door.", now.Add(-25*time.Hour))
	b.post("alice", "The choir meets on Thursday this week, not on Friday.", now.Add(-3*time.Hour))
	b.post("bob", "Tomatoes to give away, more than we can eat. Ring at number 7.", now.Add(-40*time.Minute))
	return b
}

// post adds a notice.
func (b *board) post(user, raw string, at time.Time) post {
	b.mu.Lock()
	defer b.mu.Unlock()
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

// latest returns the newest n notices, newest first.
func (b *board) latest(n int) []post {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := slices.Clone(b.posts)
	slices.Reverse(out)
	return out[:min(n, len(out))]
}

// titleOf returns the beginning of a notice.
func titleOf(raw string) string {
	title := []rune(raw)
	return string(title[:min(len(title), 60)])
}
