package server

// draftRoutes are the 2016 draft's way in.
func (s *Server) draftRoutes() []route { return nil }
