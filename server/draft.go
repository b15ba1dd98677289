package server

import (
	"net/http"

	"userkeys/site"
)

// draftRoutes are the 2016 draft's way in.
func (s *Server) draftRoutes() []route {
	return []route{{"GET /api_key/generate", page, anyone, "", s.draft}}
}

// draft puts a request in the draft's words to the user, on the same page and
// by the same rules as any other.
func (s *Server) draft(w http.ResponseWriter, r *http.Request, v site.Visitor) error {
	request, err := parseRequest(r, site.ParseDraftRequest)
	if err != nil {
		return s.refuse(w, r, v, request, err)
	}
	return s.putToUser(w, r, v, request)
}
