package server

// deviceRoutes are the device authorization (wire 22).
func (s *Server) deviceRoutes() []route { return nil }
