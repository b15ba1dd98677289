package client

import (
	"net/http"
	"time"

	"userkeys/internal/outward"
)

// Outward makes a client for an app whose users choose the site: it reaches public addresses only. Else every
// user could look into the app's own network. The address is looked at when it is dialled, after the name was
// resolved; no proxy is used, for that would dial elsewhere. The errors' texts tell nothing of what lies
// inside.
//
// It follows redirects as any [http.Client] does, to public addresses. Answers have no bound but time, as
// elsewhere: functions of this package have their own; who reads a body on their own should bound it.
func Outward() *http.Client {
	hc := outward.New(outward.Config{Timeout: requestTimeout, DialTimeout: 10 * time.Second, MaxBody: -1})
	hc.CheckRedirect = nil
	return hc
}
