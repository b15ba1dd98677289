package userkeys

import (
	"encoding/json"
	"time"
)

// Notification is one line of a user's list, in the wire's words (17).
type Notification struct {
	ID           int64
	UserID       int64
	Type         int // Discourse's number: 1 mentioned, 2 replied, 6 private message, ...
	Read         bool
	HighPriority bool
	TopicID      int64 // 0: none
	PostNumber   int   // 0: none
	Slug         string
	FancyTitle   string
	Data         json.RawMessage // an object
	CreatedAt    time.Time
}

// UserStatus is the line that a user shows beside their name.
type UserStatus struct {
	Emoji       string
	Description string
	SetAt       time.Time
	EndsAt      time.Time // zero: until changed
}
