package userkeys

import "time"

// DeviceState says how far a device authorization is.
type DeviceState string

// The states of a device authorization.
const (
	DevicePending    DeviceState = "pending"
	DeviceAuthorized DeviceState = "authorized"
	DeviceDenied     DeviceState = "denied"
)

// DeviceGrant is the request of an app on a machine without a browser, from
// when the app asks until it has fetched the answer (wire 22). All its codes
// are secrets of which only hashes are stored.
type DeviceGrant struct {
	DeviceCode   string // the app's, 64 hex digits
	UserCode     string // typed by the user, XXXX-XXXX
	RequestToken string // in the address that the app may show, 8 characters
	Request      AuthorizationRequest
	IP           string // who asked
	State        DeviceState
	UserID       int64  // who typed the code; 0: nobody yet
	Session      string // in which session
	Payload      string // sealed; empty until authorized
	CreatedAt    time.Time
	ExpiresAt    time.Time
}
