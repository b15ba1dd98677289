package discourse

import (
	"fmt"
	"html"
	"strings"
	"time"
)

// The pages are as plain as a browser's program can read: what Discourse
// shows with scripts stands here as forms.

// hidden is a field of a form.
type hidden struct{ name, value string }

func frame(body string) string {
	return "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>Stand-in</title></head><body>\n" +
		body + "\n</body></html>\n"
}

func problemPage(text string) string {
	return frame(`<p class="problem">` + html.EscapeString(text) + `</p>`)
}

var (
	genericErrorPage = problemPage("Sorry, we are unable to issue user API keys; " +
		"this feature may be disabled by the site admin")
	noTrustPage = problemPage("Sorry, you do not have the required trust level to access the user API")
)

// form is a form whose button says what it does.
func form(button, action string, fields ...hidden) string {
	var b strings.Builder
	b.WriteString(`<form method="post" action="` + html.EscapeString(action) + "\">\n")
	for _, f := range fields {
		fmt.Fprintf(&b, `<input type="hidden" name="%s" value="%s">`+"\n",
			html.EscapeString(f.name), html.EscapeString(f.value))
	}
	b.WriteString(`<button>` + html.EscapeString(button) + "</button>\n</form>\n")
	return b.String()
}

func formPage(button, action string, fields ...hidden) string {
	return frame(form(button, action, fields...))
}

// consentPage names the app and what it asks for. Only the newest era has a
// way to refuse; the app is not told.
func (c *call) consentPage(g grant) string {
	var b strings.Builder
	b.WriteString("<h1>" + html.EscapeString(g.application) + "</h1>\n")
	b.WriteString("<p>requests the following access to your account:</p>\n<ul>\n")
	for _, label := range localized(g.scopes) {
		b.WriteString("<li>" + html.EscapeString(label) + "</li>\n")
	}
	b.WriteString("</ul>\n")
	fields := []hidden{{"authenticity_token", c.csrfToken()}}
	for _, name := range []string{
		"application_name", "nonce", "client_id", "auth_redirect", "push_url", "public_key", "scopes",
		"padding", "expires_in_seconds",
	} {
		if v := c.param(name); v != "" {
			fields = append(fields, hidden{name, v})
		}
	}
	b.WriteString(form("Authorize", "/user-api-key", fields...))
	if c.s.Era == New {
		b.WriteString(`<a class="deny" href="/">Deny</a>`)
	}
	return frame(b.String())
}

// resultPage shows the payload to those who carry it by hand.
func resultPage(instructions, payload string) string {
	return frame("<p>" + html.EscapeString(instructions) + "</p>\n" +
		`<code id="user-api-key-payload">` + html.EscapeString(payload) + `</code>`)
}

// stamp is a time as the payload has it; longStamp as the rest of the site has it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func longStamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
