package rows

import "userkeys/site"

// Sync is what became of users whom a website told of.
type Sync struct {
	Created   int                `json:"created"`
	Changed   int                `json:"changed"`
	Unchanged int                `json:"unchanged"`
	Refused   int                `json:"refused"`
	Users     []site.SyncOutcome `json:"users"`
}

// NewSync counts outcomes.
func NewSync(outcomes []site.SyncOutcome) Sync {
	s := Sync{Users: outcomes}
	for _, o := range outcomes {
		switch o.Outcome {
		case "created":
			s.Created++
		case "changed":
			s.Changed++
		case "unchanged":
			s.Unchanged++
		default:
			s.Refused++
		}
	}
	return s
}
