package server

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"net/http"

	"userkeys/site"
)

// openAPI describes every route that answers in JSON. A test holds it against the handlers.
//
//go:embed openapi.json
var openAPISource []byte

// openAPI is the document as it is served: without the spaces that people read it by.
var openAPI = func() []byte {
	var b bytes.Buffer
	if err := json.Compact(&b, openAPISource); err != nil {
		panic(err) // a programmer's mistake in the file
	}
	return b.Bytes()
}()

// discoveryRoutes are what this site allows, for programs.
func (s *Server) discoveryRoutes() []route {
	all := []route{
		{"GET /.well-known/user-api-key", bare, anyone, "", s.description},
		{"GET /user-api-key/openapi.json", bare, anyone, "", s.openAPI},
	}
	if s.cfg.Standalone {
		all = append(all, route{"GET /openapi.json", bare, anyone, "", s.openAPI})
	}
	return all
}

// description tells an app what it may ask for, before it asks.
func (s *Server) description(w http.ResponseWriter, _ *http.Request, _ site.Visitor) error {
	// Short, because a change of settings must not leave apps asking for what is refused.
	w.Header().Set("Cache-Control", "public, max-age=60")
	w.Header().Del("Pragma")
	w.Header().Del("Expires")
	d := s.site.Settings().Describe(s.site.Catalog(), s.base())
	if s.cfg.Pushes != nil {
		d.Endpoints["push_secret"] = s.base() + "/user-api-key/push-secret.json"
	}
	return writeJSON(w, d)
}

func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request, _ site.Visitor) error {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=60")
	w.Header().Del("Pragma")
	w.Header().Del("Expires")
	_, err := w.Write(openAPI)
	return err
}

// OpenAPI is the OpenAPI 3.1 document of every route that answers in JSON.
func OpenAPI() []byte { return bytes.Clone(openAPI) }
