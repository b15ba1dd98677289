package apology

import (
	"net/http"
	"strings"

	"userkeys"
	"userkeys/gateway/internal/request"
)

// An Answer stands in the website's place, for programs and for people. It names no address.
type Answer struct {
	JSON *request.Refusal
	Page Page
}

func newAnswer(status int, reason, public string) *Answer {
	e := &userkeys.Error{Code: userkeys.Internal, Reason: reason, Public: public}
	said := strings.ToUpper(public[:1]) + public[1:] + ". Try again in a little while."
	page := Page{Status: status, Title: "This site cannot be reached", Says: []string{said}, Link: "Try again"}
	return &Answer{request.NewRefusal(status, e), page}
}

// What to say of a website that gave no answer that can be passed on.
var (
	Gone = newAnswer(http.StatusBadGateway, "upstream unreachable",
		"the site behind this address cannot be reached at the moment")
	Garbled = newAnswer(http.StatusBadGateway, "upstream answer invalid",
		"the site behind this address gave an answer that cannot be passed on")
	Slow = newAnswer(http.StatusGatewayTimeout, "upstream timeout",
		"the site behind this address took too long to answer")
)
