package server

// renewRoutes are renewal of keys by the app.
func (s *Server) renewRoutes() []route { return nil }
