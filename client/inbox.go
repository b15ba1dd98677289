package client

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// TotalsPath is the path of the site that [Credential.Totals] requests.
const TotalsPath = "/notifications/totals.json"

const (
	notificationsPath = "/notifications.json"
	markReadPath      = "/notifications/mark-read.json"
)

// Totals are the numbers of unread notifications of a user on a site.
type Totals struct {
	UserID   int64  `json:"id"`
	Username string `json:"username"`
	Unread   int    `json:"unread_notifications"` // without personal messages
	Messages int    `json:"unread_personal_messages"`
	Chat     int    `json:"chat_notifications"` // sites with chat only
}

// All returns the sum of everything that is unread.
func (t Totals) All() int { return t.Unread + t.Messages + t.Chat }

// Totals asks the site what is unread. It needs one of the scopes notifications, read, write. A Discourse before
// 2024 answers 404: see [Credential.SessionTotals].
func (c *Credential) Totals(ctx context.Context, base *http.Client) (Totals, error) {
	var t Totals
	err := c.get(ctx, base, TotalsPath, &t)
	return t.printable(), err
}

// SessionTotals returns the totals that the site tells with the user's session, as every site does. It needs one
// of the scopes session_info, read, write.
func (c *Credential) SessionTotals(ctx context.Context, base *http.Client) (Totals, error) {
	var session struct {
		User struct {
			ID       int64  `json:"id"`
			Username string `json:"username"`
			Unread   int    `json:"unread_notifications"`
			Messages int    `json:"unread_private_messages"`            // before 2021
			Urgent   int    `json:"unread_high_priority_notifications"` // since 2021; mostly messages
		} `json:"current_user"`
	}
	err := c.get(ctx, base, sessionPath, &session)
	u := session.User
	return Totals{UserID: u.ID, Username: u.Username, Unread: u.Unread, Messages: max(u.Messages, u.Urgent)}.printable(),
		err
}

func (t Totals) printable() Totals {
	t.Username = printable(t.Username)
	t.Unread, t.Messages, t.Chat = max(t.Unread, 0), max(t.Messages, 0), max(t.Chat, 0)
	return t
}

// A Notification is one entry of a user's list of notifications. Its texts are safe to show.
type Notification struct {
	ID        int64
	Type      int // by Discourse's numbers: 1 mentioned, 2 replied, 6 personal message, ...
	Read      bool
	CreatedAt time.Time // zero if the site does not say
	Title     string    // of the topic, or another text of the site
	From      string    // the user who caused it; may be empty
	URL       string    // an address on the site; may be empty
}

// Notifications returns the newest notifications of the user, at most limit, which is 1 to 60. It needs the same
// scopes as [Credential.Totals] and marks nothing as seen.
func (c *Credential) Notifications(ctx context.Context, base *http.Client, limit int) ([]Notification, error) {
	limit = min(max(limit, 1), 60)
	var body struct {
		Notifications []json.RawMessage `json:"notifications"`
	}
	query := url.Values{"recent": {"true"}, "silent": {"true"}, "limit": {fmt.Sprint(limit)}}
	if err := c.get(ctx, base, notificationsPath+"?"+query.Encode(), &body); err != nil {
		return nil, err
	}
	out := make([]Notification, 0, min(len(body.Notifications), limit))
	for _, raw := range body.Notifications[:min(len(body.Notifications), limit)] {
		var n notificationJSON
		if json.Unmarshal(raw, &n) != nil {
			continue // it has another form
		}
		var data notificationData
		_ = json.Unmarshal(n.Data, &data) // what it lacks stays empty
		created, _ := time.Parse(time.RFC3339, n.CreatedAt)
		out = append(out, Notification{
			ID: n.ID, Type: n.Type, Read: n.Read, CreatedAt: created,
			Title: data.title(n.FancyTitle), From: printable(cmp.Or(data.DisplayUsername, data.OriginalUsername, data.Username)),
			URL: c.link(data, n.Slug, n.TopicID, n.PostNumber),
		})
	}
	return out, nil
}

type notificationJSON struct {
	ID         int64           `json:"id"`
	Type       int             `json:"notification_type"`
	Read       bool            `json:"read"`
	CreatedAt  string          `json:"created_at"`
	FancyTitle string          `json:"fancy_title"`
	Slug       string          `json:"slug"`
	TopicID    int64           `json:"topic_id"`
	PostNumber int             `json:"post_number"`
	Data       json.RawMessage `json:"data"`
}

// notificationData has the members that are used, of the data of all types.
type notificationData struct {
	TopicTitle       string `json:"topic_title"`
	Title            string `json:"title"`
	Message          string `json:"message"`
	BadgeName        string `json:"badge_name"`
	DisplayUsername  string `json:"display_username"`
	OriginalUsername string `json:"original_username"`
	Username         string `json:"username"`
	URL              string `json:"url"`
	Link             string `json:"link"`
}

var htmlTag = regexp.MustCompile(`<[^>]*>`)

func (d notificationData) title(fancy string) string {
	if fancy != "" {
		fancy = html.UnescapeString(htmlTag.ReplaceAllString(fancy, ""))
	}
	return printable(cmp.Or(fancy, d.TopicTitle, d.Title, d.BadgeName, d.Message))
}

// link returns the address that a notification leads to; empty if it is not on the site, because a user who
// follows it trusts the site.
func (c *Credential) link(d notificationData, slug string, topic int64, post int) string {
	if to := cmp.Or(d.URL, d.Link); to != "" {
		if strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") {
			to = c.Site + to
		}
		if u, err := url.Parse(to); err == nil && OnSite(c.Site, u) {
			return u.String()
		}
	}
	if topic <= 0 {
		return ""
	}
	if slug == "" || strings.ContainsAny(slug, "/\\.") {
		slug = "-" // the site finds the topic by its number
	}
	address := fmt.Sprintf("%s/t/%s/%d", c.Site, url.PathEscape(slug), topic)
	if post > 0 {
		address += fmt.Sprintf("/%d", post)
	}
	return address
}

// MarkRead marks one notification as read, or all if id is 0. It needs one of the scopes notifications, write.
func (c *Credential) MarkRead(ctx context.Context, base *http.Client, id int64) error {
	form := url.Values{}
	if id != 0 {
		form.Set("id", fmt.Sprint(id))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.Site+markReadPath, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return Do(c.Client(base), req, nil)
}

// A Bus reads messages of a site's message bus (POST /message-bus/ID/poll). It remembers its positions, so that no
// message is missed between two polls. The zero value is ready to use.
type Bus struct {
	id        string
	seq       int
	positions map[string]int64
}

// A BusMessage is a message on a channel such as /notification/7.
type BusMessage struct {
	Channel   string          `json:"channel"`
	MessageID int64           `json:"message_id"`
	Data      json.RawMessage `json:"data"`
}

// busTimeout is longer than any site keeps a poll open.
const busTimeout = 90 * time.Second

// maxBusMessages bounds the messages of one poll; the rest comes with the next.
const maxBusMessages = 1000

// Poll waits for messages on channels, and returns none if the site ends the poll without any, usually after 25
// seconds. The first poll of a channel only finds its end. A poll counts as a call and needs one of the scopes
// message_bus, notifications, write.
//
// A Discourse answers a key that has ended, or that lacks the scopes, with no messages and without an error.
func (b *Bus) Poll(ctx context.Context, c *Credential, base *http.Client, channels ...string) ([]BusMessage, error) {
	if b.positions == nil {
		b.id, b.positions = RandomID(), map[string]int64{}
	}
	b.seq++
	form := url.Values{"__seq": {fmt.Sprint(b.seq)}}
	for _, ch := range channels {
		at, ok := b.positions[ch]
		if !ok {
			at = -1
		}
		form.Set(ch, fmt.Sprint(at))
	}
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Site+"/message-bus/"+b.id+"/poll",
		strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Dont-Chunk", "true")
	var raw []json.RawMessage
	if err := doWithin(maxAnswerBytes, c.Client(base), req, &raw); err != nil {
		return nil, err
	}
	var all []BusMessage
	for _, text := range raw[:min(len(raw), maxBusMessages)] {
		var m BusMessage
		if json.Unmarshal(text, &m) == nil {
			all = append(all, m)
		}
	}
	return b.read(all, channels), nil
}

// read notes the positions and drops messages of other channels.
func (b *Bus) read(all []BusMessage, channels []string) []BusMessage {
	asked := func(ch string) bool { return slices.Contains(channels, ch) }
	var news []BusMessage
	for _, m := range all {
		if m.Channel == "/__status" {
			var ends map[string]int64
			if json.Unmarshal(m.Data, &ends) == nil {
				for ch, at := range ends {
					if asked(ch) {
						b.positions[ch] = at
					}
				}
			}
			continue
		}
		if asked(m.Channel) {
			b.positions[m.Channel] = m.MessageID
			news = append(news, m)
		}
	}
	return news
}
