package server

// oneTimeRoutes are one-time passwords (wire 10).
func (s *Server) oneTimeRoutes() []route { return nil }
