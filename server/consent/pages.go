package consent

import (
	"html/template"

	"userkeys/server/page"
)

// consentPage asks the user.
type consentPage struct {
	ConsentID string
	To        destination
	Name      string
	Ask       askView
	Write     bool
	SignsIn   bool   // the answer has a one-time password
	Push      string // host; empty: none named
	Pushes    bool
	Lifetime  string // empty: no end of its own
	Until     page.Moment
	Unused    int // days; 0: never
	MaxLife   int // days; 0: none
	Return    string
	Details   []detail
	Device    *deviceAsk // nil: the app asked in this browser
}

// deviceAsk is what a consent page says and sends besides, where a device asked.
type deviceAsk struct {
	Problem  string // why it cannot be approved; empty: it can
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
