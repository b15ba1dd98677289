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

// AlertPayload is a notification as apps show it on a lock screen: the data of a
// message on /notification-alert/ID, and, with post_url made absolute and
// called url, an element of a push (W12.3). What a notification lacks is left out,
// as Discourse leaves it out of those of its chat.
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

// Alert makes of a notification what apps show of it (W12.3: an excerpt has at most 400 characters). Texts are one line, without
// markup and control characters; a text that is too long is cut and ends in an ellipsis. origin is the site's own, such as
// https://site.example; empty: it is not known, and only paths are links.
func Alert(n site.Notification, origin string) AlertPayload {
	data := site.ParseMembers(n.Data)
	fancy := html.UnescapeString(markup.ReplaceAllString(n.FancyTitle, ""))
	return AlertPayload{
		Type: n.Type, PostNumber: n.PostNumber, TopicID: n.TopicID,
		TopicTitle:      line(firstText(data.Text("topic_title"), fancy, data.Text("title")), site.MaxMessageTitle),
		Excerpt:         line(data.Text("excerpt"), site.MaxMessageExcerpt),
		Username:        line(firstText(data.Text("display_username"), data.Text("original_username"), data.Text("username")), site.MaxMessageTitle),
		GroupName:       line(data.Text("group_name"), site.MaxMessageTitle),
		TranslatedTitle: line(data.Text("translated_title"), site.MaxMessageTitle),
		Tag:             line(data.Text("tag"), site.MaxMessageTitle),
		PostURL:         alertLink(n, data, origin),
	}
}

// markup is what a fancy_title may have besides text, such as an emoji's image.
var markup = regexp.MustCompile(`<[^>]*>`)

// firstText is the first one that shows something.
func firstText(texts ...string) string {
	for _, t := range texts {
		if strings.TrimSpace(t) != "" {
			return t
		}
	}
	return ""
}

// line is s as one line of at most most characters: runs of spaces and control characters become one space.
func line(s string, most int) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Join(strings.FieldsFunc(s, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }), " ")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:most-1]), " ") + "\u2026"
}

// alertLink is where a notification leads: to what its data says if that is on the site, for apps open it as the site's;
// else to its post.
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
