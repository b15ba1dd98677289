package live

// What tests of the package from outside need to know.
const (
	PollTime         = pollTime
	Heartbeat        = heartbeat
	Heartbeats       = heartbeats
	PartEnd          = partEnd
	MaxStray         = maxStray
	DefaultParkAbove = parkAbove
)

// Parked is how many polls are parked.
func (h *Handlers) Parked() int64 { return h.parked.Load() }
