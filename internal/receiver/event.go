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

// A Result says how a push ended.
type Result string

// The results.
const (
	Verified  Result = "verified"  // signed with a known secret, and accepted
	Unsigned  Result = "unsigned"  // not signed, and accepted because AcceptUnsigned is set
	Duplicate Result = "duplicate" // received before; answered with success
	Failed    Result = "failed"    // acceptable, and failed on purpose
	Refused   Result = "refused"   // not genuine, or no push
	Broken    Result = "broken"    // genuine, but could not be handled now
)

// An Event is what a receiver reports about one request. All texts but ClientID are safe to show; the output of
// [Event.JSON] is safe to show as a whole.
type Event struct {
	At      time.Time `json:"at"`
	Result  Result    `json:"result"`
	Status  int       `json:"status"` // of the answer; 0: there was none
	ID      string    `json:"id,omitempty"`
	Site    string    `json:"site,omitempty"`
	Title   string    `json:"title,omitempty"` // of the site
	Notes   []Note    `json:"notifications,omitempty"`
	LeftOut int       `json:"left_out,omitempty"` // notifications that the signature does not cover
	Why     string    `json:"why,omitempty"`
	File    string    `json:"file,omitempty"`
}

// A Note is one notification of an [Event].
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

// JSON returns the event as one line of JSON.
func (e Event) JSON() []byte {
	line, err := lineOf(e)
	if err != nil {
		panic(err) // cannot happen: all values can be written as JSON
	}
	return line
}

// lineOf returns v as one line of JSON. Characters that would steer a terminal, or that one does not show, are
// escaped: a client_id or a stored body keeps its value for programs, and is safe to show to people.
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

// Line returns the event as one line of text.
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
