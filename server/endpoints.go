package server

// endpointRoutes are what apps ask a site about itself, its users and sessions.
func (s *Server) endpointRoutes() []route { return nil }
