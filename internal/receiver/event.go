package receiver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"userkeys"
	"userkeys/client"
)

// Result is what became of a push.
type Result string

// The results.
const (
	Verified  Result = "verified"  // signed with a known secret; taken
	Unsigned  Result = "unsigned"  // not signed, and taken nevertheless, as the receiver was told to
	Duplicate Result = "duplicate" // was here before; answered as taken
	Failed    Result = "failed"    // would have been taken, and failed on purpose
	Refused   Result = "refused"   // not genuine, or no push
	Broken    Result = "broken"    // genuine, and could not be taken now
)

// An Event is what a receiver tells of one request. Its texts are safe to show, but for ClientID; [Event.JSON]
// is, whole.
type Event struct {
	At      time.Time `json:"at"`
	Result  Result    `json:"result"`
	Status  int       `json:"status"` // that was answered; 0: none, it hangs
	ID      string    `json:"id,omitempty"`
	Site    string    `json:"site,omitempty"`
	Title   string    `json:"title,omitempty"` // of the site
	Notes   []Note    `json:"notifications,omitempty"`
	LeftOut int       `json:"left_out,omitempty"` // notifications that the signature does not vouch for
	Why     string    `json:"why,omitempty"`
	File    string    `json:"file,omitempty"`
}

// A Note is one notification in an [Event].
type Note struct {
	ClientID string `json:"client_id"`
	Type     int    `json:"notification_type"`
	Text     string `json:"text"`
	URL      string `json:"url,omitempty"`
}

// maxNotes is how many notifications a line shows.
const maxNotes = 3

func notes(p client.Push) []Note {
	var out []Note
	for _, n := range p.Notifications {
		text := n.TranslatedTitle
		if text == "" {
			text = n.TopicTitle
			if n.Username != "" {
				text = n.Username + ": " + text
			}
		}
		if n.Excerpt != "" {
			text += " - " + n.Excerpt
		}
		out = append(out, Note{ClientID: n.ClientID, Type: n.Type, Text: text, URL: n.URL})
	}
	return out
}

// JSON is the event in one line for programs.
func (e Event) JSON() []byte {
	line, err := lineOf(e)
	if err != nil {
		panic(err) // there is nothing in it that JSON has not
	}
	return line
}

// lineOf is v as a line of JSON. What would steer a terminal, or be hidden in it, is escaped: a client_id, and
// a body as it came, must stay what they are for programs, and people look at the line too.
func lineOf(v any) ([]byte, error) {
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	var line []byte
	for _, r := range plain.String() { // bytes that are no UTF-8 are U+FFFD for all who read JSON
		if s := string(r); r < unicode.MaxASCII || userkeys.Printable(s) == s {
			line = append(line, s...)
			continue
		}
		for _, half := range utf16.Encode([]rune{r}) {
			line = fmt.Appendf(line, `\u%04x`, half)
		}
	}
	return line, nil
}

// Line is the event in one line for people.
func (e Event) Line() string {
	var b strings.Builder
	what := fmt.Sprintf("%-9s %3d", e.Result, e.Status)
	if e.Status == 0 {
		what = fmt.Sprintf("%-13s", "no answer")
	}
	fmt.Fprintf(&b, "%s %s", e.At.UTC().Format("2006-01-02 15:04:05Z"), what)
	if e.Title != "" || e.Site != "" {
		fmt.Fprintf(&b, "  %s", strings.TrimSpace(e.Title+" "+e.Site))
	}
	for i, n := range e.Notes[:min(len(e.Notes), maxNotes)] {
		fmt.Fprintf(&b, "%s %s", [2]string{";", ":"}[max(0, 1-i)], n.Text)
		if n.URL != "" {
			b.WriteString(" " + n.URL)
		}
	}
	if more := len(e.Notes) - maxNotes; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	if e.LeftOut > 0 {
		fmt.Fprintf(&b, "; %d left out", e.LeftOut)
	}
	if e.ID != "" {
		fmt.Fprintf(&b, "  [%s]", e.ID)
	}
	if e.Why != "" {
		fmt.Fprintf(&b, "  (%s)", e.Why)
	}
	return b.String()
}
