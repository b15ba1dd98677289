package site

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"time"

	"userkeys"
)

// DeviceState says how far a device authorization is.
type DeviceState string

// The states of a device authorization.
const (
	DevicePending    DeviceState = "pending"
	DeviceAuthorized DeviceState = "authorized"
	DeviceDenied     DeviceState = "denied"
)

// Times of a device authorization (W22).
const (
	DeviceLifetime     = 10 * time.Minute // from the question to the answer
	DevicePollInterval = 5 * time.Second
	DevicePayloadFor   = time.Minute // how long the app has to fetch the payload
)

// DeviceGrant is the request of an app on a machine without a browser, from
// when the app asks until it has fetched the answer (W22). All its codes
// are secrets of which only hashes are stored; a grant that was read back has none.
type DeviceGrant struct {
	DeviceCode   string // the app's, 64 hex digits
	UserCode     string // typed by the user, 8 characters; see [ShowUserCode]
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

// TypedCode is the code that a user typed, and what the page that asks about it goes by.
type TypedCode struct {
	UserCode     string
	RequestToken string // of the address that the user opened; empty: the code alone was typed
	Approval     string // secret of the page that asks the user
}

// userCodeAlphabet has no characters that people take for one another.
const userCodeAlphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

const (
	deviceCodeBytes   = 32
	userCodeLen       = 8
	requestTokenBytes = 6
	minDeviceBits     = 2048
	deviceCodeHexLen  = 2 * deviceCodeBytes
	maxDeviceNonce    = 256
)

// NewDeviceGrant makes the codes of a device authorization.
func NewDeviceGrant(r AuthorizationRequest, ip string, now time.Time) DeviceGrant {
	var b [deviceCodeBytes + userCodeLen + requestTokenBytes]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails
	code := make([]byte, userCodeLen)
	for i := range code {
		code[i] = userCodeAlphabet[int(b[deviceCodeBytes+i])%len(userCodeAlphabet)] // 32 divides 256: no letter is likelier
	}
	return DeviceGrant{
		DeviceCode: hex.EncodeToString(b[:deviceCodeBytes]), UserCode: string(code),
		RequestToken: base64.RawURLEncoding.EncodeToString(b[deviceCodeBytes+userCodeLen:]),
		Request:      r, IP: ip, State: DevicePending, CreatedAt: now, ExpiresAt: now.Add(DeviceLifetime),
	}
}

// ShowUserCode writes a user code for people: XXXX-XXXX.
func ShowUserCode(code string) string {
	if len(code) != userCodeLen {
		return code
	}
	return code[:userCodeLen/2] + "-" + code[userCodeLen/2:]
}

// ParseUserCode reads a code as people type it: in any case, with anything
// between the letters. ok is false for what cannot be one (W22).
func ParseUserCode(typed string) (code string, ok bool) {
	const most = 100
	if len(typed) > most {
		return "", false
	}
	code = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return -1
	}, typed)
	return code, len(code) == userCodeLen
}

// IsDeviceCode reports whether s looks like a device code.
func IsDeviceCode(s string) bool {
	return len(s) == deviceCodeHexLen && strings.Trim(s, "0123456789abcdef") == ""
}

// IsRequestToken reports whether s looks like the token of a device authorization's address.
func IsRequestToken(s string) bool {
	return len(s) == base64.RawURLEncoding.EncodedLen(requestTokenBytes) &&
		strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// checkDevice checks a request for a key from a machine without a browser, which has narrower bounds: no one-time
// password, and 2048 bits or more (W22).
func (r AuthorizationRequest) checkDevice(s Settings, c *userkeys.Catalog, client Client) (CheckedRequest, error) {
	if !s.AllowUserAPIKeyDeviceAuth {
		return CheckedRequest{}, userkeys.Errorf(userkeys.NotFound, "this site has no device authorization")
	}
	if r.Scopes.Has(userkeys.ScopeOneTimePassword) {
		return CheckedRequest{}, invalid("the scope one_time_password cannot be asked for from a device")
	}
	if problem := textProblem("nonce", r.Nonce, maxDeviceNonce); problem != nil {
		return CheckedRequest{}, problem
	}
	out, err := r.checkKey(s, c, client)
	if err == nil && out.Key.Bits() < minDeviceBits {
		err = userkeys.Errorf(userkeys.InvalidPublicKey,
			"public_key has %d bits; device authorization needs at least %d", out.Key.Bits(), minDeviceBits)
	}
	return out, err
}

// ParseDeviceRequest reads the fields of a device authorization request. There is no redirect: nobody could follow it.
func ParseDeviceRequest(p url.Values) (AuthorizationRequest, error) {
	r, err := ParseAuthorizationRequest(p)
	r.Kind, r.AuthRedirect, r.HasAuthRedirect = KindDevice, "", false
	return r, err
}
