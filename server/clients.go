package server

// clientRoutes are registered clients (wire 15).
func (s *Server) clientRoutes() []route { return nil }
