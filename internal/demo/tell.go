package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"userkeys/client"
)

// News is what a website tells some of its users.
type News struct {
	Usernames            []string
	Type                 string // by Discourse's names: replied, mentioned, private_message, ...
	From, Title, Excerpt string
	Link                 string // a path of the website
}

// Greet tells users what they find unread at first, so that there is something to see before anybody posts.
func Greet(ctx context.Context, tell func(context.Context, News) error, usernames ...string) error {
	for _, n := range []News{
		{Type: "replied", Title: "Found an umbrella in the reading room"},
		{Type: "mentioned", Title: "Tomatoes to give away"},
		{Type: "private_message", Title: "About Thursday"},
	} {
		n.Usernames, n.From, n.Link = usernames, "bob", "/"
		if err := tell(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// NewTeller makes what a website tells its users with: one request to userkeys, which
// shows the news to the users' apps and pushes it to those that asked for that. key is
// an admin API key, and username the administrator whom it acts as.
func NewTeller(siteURL, key, username string) func(context.Context, News) error {
	caller := &http.Client{Timeout: 10 * time.Second}
	return func(ctx context.Context, n News) error {
		body, err := json.Marshal(map[string]any{
			"usernames": n.Usernames, "notification_type": n.Type,
			"from": n.From, "title": n.Title, "excerpt": n.Excerpt, "link": n.Link,
		})
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, siteURL+"/user-api-key/admin/notifications.json",
			bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Api-Key", key)
		req.Header.Set("Api-Username", username)
		return client.Do(caller, req, nil)
	}
}
