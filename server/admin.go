package server

// adminRoutes are admin API keys and what they manage.
func (s *Server) adminRoutes() []route { return nil }
