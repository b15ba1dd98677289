package consent

import (
	"net/http"

	"userkeys/site"
)

// draft puts a request in the draft's words to the user, on the same page and
// by the same rules as any other.
func (h *Handlers) draft(w http.ResponseWriter, r *http.Request, c site.Caller) error {
	request, err := parseRequest(r, site.ParseDraftRequest)
	if err != nil {
		return h.refuse(w, r, c, refusal{request, err})
	}
	return h.putToUser(w, r, c, request)
}
