package outbox

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"

	"userkeys/notify"
	"userkeys/site"
)

// pushBody is what is posted (W12.3), with the members of Discourse in its order.
type pushBody struct {
	SecretKey     string         `json:"secret_key,omitempty"`
	URL           string         `json:"url"`
	Title         string         `json:"title"`
	Description   string         `json:"description"`
	Notifications []pushedNotice `json:"notifications"`
}

// pushedNotice is a notification as it is sent for one client.
type pushedNotice struct {
	notify.AlertPayload
	URL            string `json:"url"`
	ClientID       string `json:"client_id"`
	NotificationID int64  `json:"notification_id,omitempty"`
}

// bodyOf returns the body of a delivery to keys, with one element for each client.
func bodyOf(p Details, keys []Key, s site.Settings, base *url.URL) ([]byte, error) {
	b := pushBody{URL: siteURL(base), Title: s.Title, Description: s.SiteDescription}
	if s.DiscoursePushSecret {
		b.SecretKey = s.PushAPISecretKey
	}
	notice := pushedNotice{NotificationID: p.Notification.ID}
	if p.Delivery.KeyID != 0 {
		notice.AlertPayload = testAlert(s.Title)
	} else {
		notice.AlertPayload = notify.Alert(p.Notification, siteURL(base))
	}
	notice.URL = absolute(base, notice.PostURL)
	notice.PostURL = ""
	for _, k := range keys {
		notice.ClientID = k.ClientID
		b.Notifications = append(b.Notifications, notice)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(b)
	return bytes.TrimRight(out.Bytes(), "\n"), err
}

// testAlert returns the notification of a test.
func testAlert(title string) notify.AlertPayload {
	return notify.AlertPayload{
		Type: site.NotificationCustom, TopicTitle: "Test notification",
		Excerpt: "Notifications of " + title + " arrive here.", PostURL: "/",
	}
}

func siteURL(base *url.URL) string { return (&url.URL{Scheme: base.Scheme, Host: base.Host}).String() }

// absolute returns a link as an address on this site. An address stays as it is.
func absolute(base *url.URL, link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return siteURL(base)
	}
	return base.ResolveReference(u).String()
}

// webhookID returns the id of a delivery for its receiver. It is the same at each attempt, and never used again for
// another delivery, also after a backup was restored.
func webhookID(d Delivery) string {
	return "push_" + strconv.FormatInt(d.ID, 36) + "_" + strconv.FormatInt(d.CreatedAt.UnixMicro(), 36)
}
