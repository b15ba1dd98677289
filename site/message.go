package site

import (
	"bytes"
	"cmp"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"userkeys"
)

// Bounds of a message, and of what apps show of any notification, in characters; of a link in bytes.
const (
	MaxMessageTitle   = 255
	MaxMessageExcerpt = 400
	MaxMessageLink    = 2000

	maxMessageFrom = 100
)

// Message is what a site says to a user in its own words, without knowing the members of the wire's data.
type Message struct {
	Title   string // one line of plain text, at most 255 characters
	Excerpt string // plain text; what is above 400 characters is cut off
	Link    string // where it leads: a path of this site such as /t/hello/42, or an address of its origin
	From    string // whom it is from: one line, at most 100 characters
}

// Notification returns n with m in it, where apps and pushes look for it: in the members topic_title,
// excerpt, url and display_username of n.Data. Members that n has already stay as they are. If m has a
// title and n has no type, the type is custom, 14.
//
// Not all apps open url. Therefore a link to a topic, such as /t/hello/42/3, also fills TopicID, PostNumber and
// Slug of an n without a topic, and any other link is also the member bookmarkable_url. An empty FancyTitle is
// made of the title, or of the member topic_title.
//
// The origin is the site's own, such as https://site.example. If it is empty, a link must be a path. The same
// rule holds for addresses in n.Data: the members url and link, and those whose names end in _url.
// Errors: [userkeys.InvalidParameters].
func (m Message) Notification(n Notification, origin string) (Notification, error) {
	m.Excerpt = cutLine(m.Excerpt, MaxMessageExcerpt)
	if err := m.check(origin); err != nil {
		return n, err
	}
	had, err := dataMembers(n.Data, origin)
	if err != nil {
		return n, err
	}
	if n.Type == 0 && m.Title != "" {
		n.Type = NotificationCustom
	}
	n = n.withTopic(m.Link)
	more := []member{{"topic_title", m.Title}, {"excerpt", m.Excerpt}, {"url", m.Link}, {"display_username", m.From}}
	if n.TopicID == 0 {
		more = append(more, member{"bookmarkable_url", m.Link})
	}
	title := cutLine(cmp.Or(m.Title, had.Text("topic_title")), MaxMessageTitle)
	if n.FancyTitle == "" && userkeys.IsText(title) {
		n.FancyTitle = html.EscapeString(title)
	}
	if m != (Message{}) {
		n.Data, err = addMembers(n.Data, had, more)
	}
	return n, err
}

// topicPath is a path to a topic, or to a post of it. A slug has something besides digits.
var topicPath = regexp.MustCompile(`^/t/(?:([^/]*[^/\d][^/]*)/)?(\d{1,18})(?:/(\d{1,9}))?/?$`)

// withTopic fills the topic of an n without one, if link, which was checked, leads to a topic.
func (n Notification) withTopic(link string) Notification {
	u, err := url.Parse(link)
	if n.TopicID != 0 || err != nil {
		return n
	}
	parts := topicPath.FindStringSubmatch(u.Path)
	if parts == nil || len(parts[1]) > maxNotificationSlug || !userkeys.IsText(parts[1]) {
		return n
	}
	id, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || id == 0 {
		return n
	}
	n.TopicID = id
	n.Slug = cmp.Or(n.Slug, parts[1])
	if post, err := strconv.Atoi(parts[3]); err == nil && n.PostNumber == 0 {
		n.PostNumber = post
	}
	return n
}

func (m Message) check(origin string) error {
	for _, f := range []struct {
		name, text string
		most       int
	}{{"title", m.Title, MaxMessageTitle}, {"from", m.From, maxMessageFrom}} {
		if !userkeys.IsText(f.text) || f.text != "" && userkeys.IsBlank(f.text) || utf8.RuneCountInString(f.text) > f.most {
			return invalid("%s must be one line of text, of at most %d characters", f.name, f.most)
		}
	}
	if !userkeys.IsStorable(m.Excerpt) {
		return invalid("excerpt must be text")
	}
	if problem := linkProblem(m.Link, origin); problem != "" {
		return invalid("link: %s", problem)
	}
	return nil
}

// cutLine returns s as one line of at most so many characters. Text that is not UTF-8 is returned as it is,
// and refused later.
func cutLine(s string, most int) string {
	if !utf8.ValidString(s) {
		return s
	}
	line := strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != 0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s))
	runes := []rune(line)
	if len(runes) <= most {
		return line
	}
	return strings.TrimRight(string(runes[:most-1]), " ") + "\u2026"
}

// OwnLink reports whether link is a path on the site itself or an address of its origin, so that an app may
// open it as the site's. If origin is empty, only paths are the site's. The same rule
// holds for [Message.Link].
func OwnLink(link, origin string) bool { return link != "" && linkProblem(link, origin) == "" }

// linkProblem says why a message must not lead to link; empty if it may. Apps put the link behind the address
// of the site and open it, so what a browser would read as another host is refused.
func linkProblem(link, origin string) string {
	if link == "" {
		return ""
	}
	if len(link) > MaxMessageLink {
		return "it is longer than 2000 bytes"
	}
	if !strings.HasPrefix(link, "/") {
		return addressLinkProblem(link, origin)
	}
	u, err := url.Parse(link)
	switch {
	case strings.HasPrefix(link, "//"):
		return "it leads to another site"
	case strings.ContainsFunc(link, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }):
		return "it has a character that must be percent-encoded"
	case err != nil || u.Host != "" || u.Scheme != "":
		return "it is no path"
	case userkeys.HasDotSegment(u.EscapedPath()):
		return "its path has dot segments"
	}
	return ""
}

// addressLinkProblem is [linkProblem] for a link that is no path.
func addressLinkProblem(link, origin string) string {
	if problem := userkeys.AddressProblem(link); problem != "" {
		return "it is neither a path such as /t/hello/42 nor an address: " + problem
	}
	to, _ := userkeys.ParseRedirect(link)
	own, _ := userkeys.ParseRedirect(origin)
	switch {
	case to.Scheme() != "http" && to.Scheme() != "https":
		return "its scheme is " + to.Scheme()
	case origin == "":
		return "the site's own address is not known here: give a path such as /t/hello/42"
	case to.Origin() != own.Origin():
		return "it leads to another site than " + own.Origin()
	}
	return ""
}

// member is a member of a JSON object.
type member struct{ name, text string }

// Members are those of a notification's data. Names are compared exactly; of a name that stands twice the last one
// counts.
type Members map[string]json.RawMessage

// ParseMembers reads the members of a notification's data. What is no JSON object has none.
func ParseMembers(data json.RawMessage) Members {
	var m Members
	_ = json.Unmarshal(data, &m)
	return m
}

// Text returns the member of that name if it is a text, and else an empty one.
func (m Members) Text(name string) string {
	var s string
	_ = json.Unmarshal(m[name], &s) // another kind of value is no text
	return s
}

// dataMembers reads the members of a notification's data, and refuses addresses that lead to another site:
// apps open them as the site's own. Names are compared without case, and every occurrence is checked.
func dataMembers(data json.RawMessage, origin string) (Members, error) {
	had := Members{}
	if len(data) == 0 {
		return had, nil
	}
	bad := invalid("data must be a JSON object")
	d := json.NewDecoder(bytes.NewReader(data))
	if start, err := d.Token(); err != nil || start != json.Delim('{') || !json.Valid(data) {
		return nil, bad
	}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return nil, bad
		}
		had[name] = value
		if folded := strings.ToLower(name); folded != "url" && folded != "link" && !strings.HasSuffix(folded, "_url") {
			continue
		}
		if problem := linkProblem(had.Text(name), origin); problem != "" {
			return nil, invalid("the member %s of data: %s", strconv.QuoteToASCII(cutText(name, 64)), problem)
		}
	}
	return had, nil
}

// addMembers appends the members of more to a JSON object that has the members had. A member that is there
// already, or whose text is empty, is left out.
func addMembers(data json.RawMessage, had Members, more []member) (json.RawMessage, error) {
	if len(data) == 0 {
		data = json.RawMessage("{}")
	}
	var out bytes.Buffer
	if err := json.Compact(&out, data); err != nil {
		return nil, err
	}
	out.Truncate(out.Len() - 1) // the closing brace
	filled := len(had) > 0
	for _, m := range more {
		if _, there := had[m.name]; there || m.text == "" {
			continue
		}
		if filled {
			out.WriteByte(',')
		}
		filled = true
		out.WriteString(`"` + m.name + `":`)
		text := json.NewEncoder(&out)
		text.SetEscapeHTML(false)
		if err := text.Encode(m.text); err != nil {
			return nil, err
		}
		out.Truncate(out.Len() - 1) // the encoder's line end
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}
