package consent

import (
	"net/http"

	"userkeys"
)

// draft puts a request in the draft's words to the user, on the same page and
// by the same rules as any other.
func (h *Handlers) draft(w http.ResponseWriter, r *http.Request, c userkeys.Caller) error {
	request, err := parseRequest(r, userkeys.ParseDraftRequest)
	if err != nil {
		return h.refuse(w, r, c, request, err)
	}
	return h.putToUser(w, r, c, request)
}
