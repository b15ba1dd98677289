package consent

import (
	"html/template"

	"userkeys/server/consent/question"
	"userkeys/server/page"
)

// consentPage asks the user.
type consentPage struct {
	ConsentID string
	To        question.Destination
	Name      string
	OneTime   bool // it is about a one-time password alone, and there is nothing to choose
	Ask       question.Ask
	Push      string // host; empty: none named
	Pushes    bool
	Return    string
	Details   []detail
	Device    *deviceAsk // nil: the app asked in this browser
	Problem   string     // why the last answer did not count
	Nothing   bool       // ... because nothing was chosen
}

// nothing says on p that nothing was chosen of what it asks.
func (p *consentPage) nothing(ask question.Ask) {
	p.Ask, p.Nothing = ask, true
	p.Problem = "Choose at least one thing that the app may do, or deny the request."
}

// deviceAsk is what a consent page says and sends besides, where a device asked.
type deviceAsk struct {
	IP       string
	Asked    page.Moment
	Approval string // token of this page; empty: the code must be typed first
	Request  string // token of the address that led here
}

type detail struct{ Name, Value string }

// payloadPage hands over a sealed payload.
type payloadPage struct {
	Name    string
	Payload template.HTML // base64 in lines; see sealedHTML
}
