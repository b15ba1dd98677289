package site

import (
	"time"

	"userkeys"
)

// AppsPerPage is how many apps a page of a user's apps has.
const AppsPerPage = 50

// App is a key as its owner sees it.
type App struct {
	UserAPIKey
	// Destination is where the answer with the key went: the origin of the auth redirect, or one of [DestinationDevice]
	// and [DestinationCopy]. Empty: the key was made by hand, or before that was stored.
	Destination string
	// ApprovedWith is the browser that the user approved the app with, as [DeviceName] has it; empty: not known.
	ApprovedWith string
}

// Where answers go that have no auth redirect.
const (
	DestinationDevice = "device" // an app fetched it that showed the user a code
	DestinationCopy   = "copy"   // the user copied it
)

// Destination is where the answer to r goes, as [App] has it.
func (r CheckedRequest) Destination() string {
	switch {
	case r.Kind == KindDevice:
		return DestinationDevice
	case r.Redirect == nil:
		return DestinationCopy
	}
	return userkeys.Shorten(r.Redirect.Origin(), maxDestination)
}

const maxDestination = 300 // bytes; longer than any host name

// AppFilter selects and orders the apps of a user.
type AppFilter struct {
	UserID int64
	KeyID  int64 // only this one; 0: all
	Ended  bool  // those whose keys have ended, the last one first; else those with a live key
	// Text selects apps whose name, destination or browser contains it; empty: all.
	Text         string
	UnusedSince  time.Time // only those not used after it; zero: all
	LongestFirst bool      // of live ones, the longest unused first; else the newest first
	Page         int       // from 1 on; one past the end is the last one
	Limit        int       // apps on a page; 0: [AppsPerPage]
	Now          time.Time
}

// AppList is a page of a user's apps.
type AppList struct {
	Apps        []App
	Page, Pages int   // from 1 on
	Found       int64 // how many apps the filter selects
	Live, Ended int64 // how many apps the user has, whatever the filter selects
}
