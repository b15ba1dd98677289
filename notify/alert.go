package notify

import (
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"userkeys/site"
)

// AlertPayload is a notification as apps show it on a lock screen. It is the data of a message on
// /notification-alert/ID and, with post_url made absolute and called url, an element of a push (W12.3). Members
// without a value are left out, as Discourse does for notifications of its chat.
type AlertPayload struct {
	Type            int    `json:"notification_type"`
	PostNumber      int    `json:"post_number,omitempty"`
	TopicTitle      string `json:"topic_title,omitempty"` // plain text
	TopicID         int64  `json:"topic_id,omitempty"`
	Excerpt         string `json:"excerpt,omitempty"` // plain text
	Username        string `json:"username,omitempty"`
	GroupName       string `json:"group_name,omitempty"`
	TranslatedTitle string `json:"translated_title,omitempty"`
	Tag             string `json:"tag,omitempty"`
	// PostURL is where it leads on the site: a path, or an address of the site's origin.
	PostURL string `json:"post_url,omitempty"`
}

// Alert returns what apps show of a notification (W12.3: an excerpt has at most 400 characters). Texts are one line,
// without markup and control characters, and end in an ellipsis if they were cut. origin is the origin of the site,
// such as https://site.example; if it is empty, only paths are links.
func Alert(n site.Notification, origin string) AlertPayload {
	data := site.ParseMembers(n.Data)
	fancy := html.UnescapeString(markup.ReplaceAllString(n.FancyTitle, ""))
	name := firstText(data.Text("display_username"), data.Text("original_username"), data.Text("username"))
	return AlertPayload{
		Type: n.Type, PostNumber: n.PostNumber, TopicID: n.TopicID,
		TopicTitle:      line(firstText(data.Text("topic_title"), fancy, data.Text("title")), site.MaxMessageTitle),
		Excerpt:         line(data.Text("excerpt"), site.MaxMessageExcerpt),
		Username:        line(name, site.MaxMessageTitle),
		GroupName:       line(data.Text("group_name"), site.MaxMessageTitle),
		TranslatedTitle: line(data.Text("translated_title"), site.MaxMessageTitle),
		Tag:             line(data.Text("tag"), site.MaxMessageTitle),
		PostURL:         alertLink(n, data, origin),
	}
}

// markup matches what a fancy_title may contain besides text, such as the image of an emoji.
var markup = regexp.MustCompile(`<[^>]*>`)

// firstText returns the first text that is not blank.
func firstText(texts ...string) string {
	for _, t := range texts {
		if strings.TrimSpace(t) != "" {
			return t
		}
	}
	return ""
}

// line returns s as one line of at most most characters, in which runs of spaces and control characters are one
// space.
func line(s string, most int) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Join(strings.FieldsFunc(s, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }), " ")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:most-1]), " ") + "\u2026"
}

// alertLink returns where a notification leads: to the link in its data, if that is on the site, because apps open it
// as a page of the site; otherwise to its post.
func alertLink(n site.Notification, data site.Members, origin string) string {
	for _, name := range []string{"url", "link", "bookmarkable_url"} {
		if to := data.Text(name); site.OwnLink(to, origin) {
			return to
		}
	}
	if n.TopicID <= 0 {
		return ""
	}
	slug := n.Slug
	if slug == "" || strings.ContainsAny(slug, `/\.`) {
		slug = "-" // sites find a topic by its number
	}
	to := "/t/" + url.PathEscape(slug) + "/" + strconv.FormatInt(n.TopicID, 10)
	if n.PostNumber > 0 {
		to += "/" + strconv.Itoa(n.PostNumber)
	}
	return to
}
