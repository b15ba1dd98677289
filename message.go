package userkeys

import (
	"bytes"
	"encoding/json"
	"html"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
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

// Notification puts m into n, where apps and pushes look for it: into the members topic_title,
// excerpt, url and display_username of n.Data, and the title as n.FancyTitle; what n has already stays. A
// message with a title may go without a type: then it is custom, 14. origin is the site's own, such as https://site.example;
// empty: it is not known, and a link must be a path. A zero Message changes nothing. [InvalidParameters].
func (m Message) Notification(n Notification, origin string) (Notification, error) {
	if m == (Message{}) {
		return n, nil
	}
	m.Excerpt = cutExcerpt(m.Excerpt)
	if err := m.check(origin); err != nil {
		return n, err
	}
	if n.Type == 0 && m.Title != "" {
		n.Type = NotificationCustom
	}
	if n.FancyTitle == "" {
		n.FancyTitle = html.EscapeString(m.Title)
	}
	var err error
	n.Data, err = addMembers(n.Data, []member{
		{"topic_title", m.Title}, {"excerpt", m.Excerpt}, {"url", m.Link}, {"display_username", m.From},
	})
	return n, err
}

func (m Message) check(origin string) error {
	for _, f := range []struct {
		name, text string
		most       int
	}{{"title", m.Title, MaxMessageTitle}, {"from", m.From, maxMessageFrom}} {
		if !IsText(f.text) || f.text != "" && isBlank(f.text) || utf8.RuneCountInString(f.text) > f.most {
			return Errorf(InvalidParameters, "%s must be one line of text, of at most %d characters", f.name, f.most)
		}
	}
	if !IsStorable(m.Excerpt) {
		return Errorf(InvalidParameters, "excerpt must be text")
	}
	if problem := linkProblem(m.Link, origin); problem != "" {
		return Errorf(InvalidParameters, "link: %s", problem)
	}
	return nil
}

// cutExcerpt makes one line of text that is short enough for a lock screen. What is no UTF-8 stays, to be refused.
func cutExcerpt(s string) string {
	if !utf8.ValidString(s) {
		return s
	}
	line := strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != 0 || isLineSeparator(r) {
			return ' '
		}
		return r
	}, s))
	runes := []rune(line)
	if len(runes) <= MaxMessageExcerpt {
		return line
	}
	return strings.TrimRight(string(runes[:MaxMessageExcerpt-1]), " ") + "\u2026"
}

// linkProblem says what is wrong with where a message leads; empty if nothing
// is. Receivers put it behind the site's address and open it: what a browser would read as another host is refused.
func linkProblem(link, origin string) string {
	if link == "" {
		return ""
	}
	path := link
	if !strings.HasPrefix(link, "/") {
		a, problem := parseAddress(link)
		own, _ := parseAddress(origin)
		switch {
		case problem != "":
			return "it is neither a path such as /t/hello/42 nor an address: " + problem
		case !a.web():
			return "its scheme is " + a.scheme
		case origin == "":
			return "the site's own address is not known here: give a path such as /t/hello/42"
		case a.origin() != own.origin():
			return "it leads to another site than " + own.origin()
		}
		return ""
	}
	u, err := url.Parse(path)
	switch {
	case len(path) > MaxMessageLink:
		return "it is longer than 2000 bytes"
	case strings.HasPrefix(path, "//"):
		return "it leads to another site"
	case strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }):
		return "it has a character that must be percent-encoded"
	case err != nil || u.Host != "" || u.Scheme != "":
		return "it is no path"
	}
	return ""
}

// member is a member of a JSON object.
type member struct{ name, text string }

// addMembers adds to a JSON object what it lacks, at its end; empty texts are left out.
func addMembers(data json.RawMessage, members []member) (json.RawMessage, error) {
	if len(data) == 0 {
		data = json.RawMessage("{}")
	}
	var had map[string]json.RawMessage
	if err := json.Unmarshal(data, &had); err != nil || had == nil {
		return nil, Errorf(InvalidParameters, "data must be a JSON object")
	}
	var out bytes.Buffer
	if err := json.Compact(&out, data); err != nil {
		return nil, Errorf(InvalidParameters, "data must be a JSON object")
	}
	out.Truncate(out.Len() - 1) // the closing brace
	filled := len(had) > 0
	for _, m := range members {
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
