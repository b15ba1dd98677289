package notify

import (
	"encoding/json"
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
	data := alertData(n.Data)
	fancy := html.UnescapeString(markup.ReplaceAllString(n.FancyTitle, ""))
	return AlertPayload{
		Type: n.Type, PostNumber: n.PostNumber, TopicID: n.TopicID,
		TopicTitle:      line(firstText(data.text("topic_title"), fancy, data.text("title")), site.MaxMessageTitle),
		Excerpt:         line(data.text("excerpt"), site.MaxMessageExcerpt),
		Username:        line(firstText(data.text("display_username"), data.text("original_username"), data.text("username")), site.MaxMessageTitle),
		GroupName:       line(data.text("group_name"), site.MaxMessageTitle),
		TranslatedTitle: line(data.text("translated_title"), site.MaxMessageTitle),
		Tag:             line(data.text("tag"), site.MaxMessageTitle),
		PostURL:         alertLink(n, data, origin),
	}
}

// markup is what a fancy_title may have besides text, such as an emoji's image.
var markup = regexp.MustCompile(`<[^>]*>`)

// members are those of a notification's data. Names are compared exactly.
type members map[string]json.RawMessage

func alertData(raw json.RawMessage) members {
	var m members
	_ = json.Unmarshal(raw, &m) // what is no object has no members
	return m
}

// text is a member that is a text; else empty.
func (m members) text(name string) string {
	var s string
	_ = json.Unmarshal(m[name], &s) // another kind of value is no text
	return s
}

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
func alertLink(n site.Notification, data members, origin string) string {
	for _, name := range []string{"url", "link", "bookmarkable_url"} {
		if to := data.text(name); site.OwnLink(to, origin) {
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
