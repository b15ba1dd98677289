package server

// notificationRoutes are the notifications of a user.
func (s *Server) notificationRoutes() []route { return nil }
