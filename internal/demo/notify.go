package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"userkeys/client"
)

// News is a notification of a website for some of its users.
type News struct {
	Usernames            []string
	Type                 string // by Discourse's names: replied, mentioned, private_message, ...
	From, Title, Excerpt string
	Link                 string // a path of the website
}

// Greet sends users three notifications, so that they have unread ones before anybody posts a notice.
func Greet(ctx context.Context, notify func(context.Context, News) error, usernames ...string) error {
	for _, n := range []News{
		{Type: "replied", Title: "Found an umbrella in the reading room"},
		{Type: "mentioned", Title: "Tomatoes to give away"},
		{Type: "private_message", Title: "About Thursday"},
	} {
		n.Usernames, n.From, n.Link = usernames, "bob", "/"
		if err := notify(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// NewNotify returns a function by which a website notifies its users: it makes one request to userkeys, which shows the
// notification to the users' apps and pushes it to those that want pushes. key is an admin API key, and username the
// administrator whom it acts for.
func NewNotify(siteURL, key, username string) func(context.Context, News) error {
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
