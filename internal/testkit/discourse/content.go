package discourse

import (
	"cmp"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A topic is a title and its posts.
type topic struct {
	id    int
	title string
	posts []post
}

type post struct {
	id     int
	author *User
	raw    string
	at     time.Time
}

func (t *topic) slug() string {
	words := strings.FieldsFunc(strings.ToLower(t.title), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return cmp.Or(strings.Join(words, "-"), "topic")
}

func (t *topic) model() map[string]any {
	return map[string]any{
		"id": t.id, "title": t.title, "fancy_title": html.EscapeString(t.title), "slug": t.slug(),
		"posts_count": len(t.posts),
		"created_at":  longStamp(t.posts[0].at), "last_posted_at": longStamp(t.posts[len(t.posts)-1].at),
	}
}

func (t *topic) postModel(number int) map[string]any {
	p := t.posts[number-1]
	return map[string]any{
		"id": p.id, "user_id": p.author.ID, "username": p.author.Name, "created_at": longStamp(p.at),
		"raw": p.raw, "cooked": "<p>" + html.EscapeString(p.raw) + "</p>",
		"post_number": number, "topic_id": t.id, "topic_slug": t.slug(), "topic_title": t.title,
	}
}

func avatar(u *User) string { return "/letter_avatar/" + u.Name + "/{size}/1.png" }

// userModel is what everybody may know of a user.
func userModel(u *User) map[string]any {
	return map[string]any{
		"id": u.ID, "username": u.Name, "name": u.Name, "avatar_template": avatar(u),
		"trust_level": u.TrustLevel, "admin": u.Admin, "moderator": u.Moderator,
	}
}

func (c *call) home() (answer, error) { return page(http.StatusOK, frame("<h1>Stand-in</h1>")), nil }

func (c *call) about() (answer, error) {
	versions := map[Era]string{Old: "2.9.0", Middle: "3.3.0", New: "2026.6.0"}
	return data(map[string]any{"about": map[string]any{
		"title": c.s.settings["title"], "version": versions[c.s.Era],
		"stats": map[string]int{"users_count": len(c.s.users), "topics_count": len(c.s.topics)},
	}}), nil
}

func (c *call) currentSession() (answer, error) {
	if c.user == nil {
		return newAnswer(http.StatusNotFound, jsonType, nil), nil
	}
	m := userModel(c.user)
	m["unread_notifications"] = c.s.unread(c.user, plainNotes)
	m["unread_high_priority_notifications"] = c.s.unread(c.user, highNotes)
	m["seen_notification_id"] = c.user.seen
	return data(map[string]any{"current_user": m}), nil
}

func (c *call) latest() (answer, error) {
	topics := []map[string]any{}
	for _, t := range slices.Backward(c.s.topics) {
		topics = append(topics, t.model())
	}
	return data(map[string]any{"users": []any{}, "topic_list": map[string]any{"per_page": 30, "topics": topics}}), nil
}

func (s *Site) topicWithID(text string) *topic {
	id, err := strconv.Atoi(text)
	if err != nil {
		return nil
	}
	for _, t := range s.topics {
		if t.id == id {
			return t
		}
	}
	return nil
}

func (c *call) topic() (answer, error) {
	t := c.s.topicWithID(c.param("id"))
	if t == nil {
		return answer{}, errNotFound
	}
	posts := []map[string]any{}
	stream := []int{}
	for i := range t.posts {
		posts = append(posts, t.postModel(i+1))
		stream = append(stream, t.posts[i].id)
	}
	m := t.model()
	m["post_stream"] = map[string]any{"posts": posts, "stream": stream}
	return data(m), nil
}

// createPost begins a topic or replies to one.
func (c *call) createPost() (answer, error) {
	title, raw := c.param("title"), strings.TrimSpace(c.param("raw"))
	var problems []string
	t := c.s.topicWithID(c.param("topic_id"))
	switch least := c.s.number("min_topic_title_length"); {
	case t != nil:
	case c.param("topic_id") != "":
		problems = append(problems, "The topic could not be found.")
	case utf8.RuneCountInString(title) < least:
		problems = append(problems, "Title is too short (minimum is "+strconv.Itoa(least)+" characters)")
	default:
		t = &topic{title: title}
	}
	if least := c.s.number("min_post_length"); utf8.RuneCountInString(raw) < least {
		problems = append(problems, "Body is too short (minimum is "+strconv.Itoa(least)+" characters)")
	}
	if problems != nil {
		return jsonAnswer(http.StatusUnprocessableEntity, map[string]any{"action": "create_post", "errors": problems}), nil
	}
	if t.id == 0 {
		t.id = c.s.nextID()
		c.s.topics = append(c.s.topics, t)
	}
	t.posts = append(t.posts, post{c.s.nextID(), c.user, raw, c.now})
	number := len(t.posts)
	c.s.publish("/latest", map[string]any{"topic_id": t.id, "message_type": "latest"}, nil)
	c.s.publish("/topic/"+strconv.Itoa(t.id), map[string]any{"id": t.posts[number-1].id, "type": "created"}, nil)
	return data(t.postModel(number)), nil
}
