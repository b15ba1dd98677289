package apps

import (
	"net/http"

	"userkeys/site"
)

// homePage is the start page of a site that has nothing else.
type homePage struct {
	Login string // where to sign in
}

// home is the page at the root of a site that has nothing else.
func (h *Handlers) home(w http.ResponseWriter, _ *http.Request, c site.Caller) error {
	return h.pages.home.Show(w, c, http.StatusOK, homePage{h.door.Identity().LoginURL("/")})
}
