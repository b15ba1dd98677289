package client

import (
	"net/http"
	"time"

	"userkeys/internal/outward"
)

// Outward returns a client for apps whose users choose the site. It connects to public addresses only, so that
// users cannot reach the app's own network. Each address is checked when it is dialled, after the name was
// resolved; no proxy is used, because a proxy would dial other addresses. The texts of its errors say nothing
// about the app's network.
//
// The client follows redirects to public addresses. It bounds the time of a request but not the size of an answer:
// functions of this package bound what they read, and apps that read a body themselves should too.
func Outward() *http.Client {
	hc := outward.New(outward.Config{Timeout: requestTimeout, DialTimeout: 10 * time.Second, MaxBody: -1})
	hc.CheckRedirect = nil
	return hc
}
