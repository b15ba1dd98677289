package server

// discoveryRoutes are what this site allows, for programs.
func (s *Server) discoveryRoutes() []route { return nil }
