package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"userkeys"
)

// Errors of [Login] and [DeviceAuthorization.Wait] that the site does not send as a refusal. The values are shared; do
// not change them.
var (
	// ErrDenied says that the user has denied the request.
	ErrDenied = &userkeys.Error{
		Code: userkeys.InvalidAccess, Reason: "access denied",
		Public: "the person refused; nothing was granted",
	}
	// ErrCodeExpired says that nobody approved the code in time.
	ErrCodeExpired = &userkeys.Error{
		Code: userkeys.NotFound, Reason: "expired token",
		Public: "nobody approved the code in time; begin again",
	}
	// ErrAnswerLost says that the code ended early, after a poll without an answer: the site may have sent the key in
	// that answer. Begin again with the same client id: the new key replaces the lost one.
	ErrAnswerLost = &userkeys.Error{
		Code: userkeys.Unavailable, Reason: "answer lost",
		Public: "the site's answer was lost on the way; begin again: the new key replaces the lost one, which until then " +
			"stands unused on the person's apps page",
	}
)

// A DeviceAuthorization is a request that the user may approve on any device: they open an address there, type a
// code and approve, while the app polls (RFC 8628, in the form of Discourse).
type DeviceAuthorization struct {
	Request  Request
	UserCode string // to show to the user, such as "ABCD-EFGH"
	// VerificationURI is where the user types the code. VerificationURIWithRequest, for a link or a QR code, is the
	// same page with the request known already. Both are addresses of the site.
	VerificationURI            string
	VerificationURIWithRequest string
	ExpiresIn                  time.Duration // how long the code is valid, from BeginDevice on
	Interval                   time.Duration // between polls

	request    *Authorization // key pair and nonce
	deviceCode string
}

// The paths and bounds of the device flow. Values of a site beyond the bounds are cut to them.
const (
	devicePath       = "/user-api-key/device.json"
	activatePath     = "/user-api-key/activate"
	devicePollPath   = "/user-api-key/device/poll.json"
	maxUserCode      = 32
	maxDeviceCode    = 512
	minPollInterval  = time.Second
	maxPollInterval  = time.Minute
	usualInterval    = 5 * time.Second
	usualDeviceLife  = 10 * time.Minute
	maxDeviceLife    = time.Hour
	expirySlack      = 15 * time.Second // the site's clock and ours
	maxPollingErrors = 8                // in a row
)

// BeginDevice asks the site for a code. The AuthRedirect of r is not used.
//
// Errors: those of [Begin], an [*APIError] if the site refuses, [userkeys.Internal] if it sends the user to an
// address that is not its own.
func BeginDevice(ctx context.Context, base *http.Client, r Request) (*DeviceAuthorization, error) {
	r.AuthRedirect = ""
	a, err := Begin(r)
	if err != nil {
		return nil, err
	}
	ask := map[string]string{}
	for name, values := range a.parameters() {
		ask[name] = values[0]
	}
	var body struct {
		DeviceCode  string  `json:"device_code"`
		UserCode    string  `json:"user_code"`
		URI         string  `json:"verification_uri"`
		URIAndToken string  `json:"verification_uri_with_request"`
		ExpiresIn   float64 `json:"expires_in"`
		Interval    float64 `json:"interval"`
	}
	req, err := jsonRequest(ctx, a.Request.Site+devicePath, ask)
	if err != nil {
		return nil, err
	}
	if err := doWithin(maxAnswerBytes, stayingClient(base), req, &body); err != nil {
		return nil, err
	}
	if body.DeviceCode == "" || len(body.DeviceCode) > maxDeviceCode || body.UserCode == "" ||
		len(body.UserCode) > maxUserCode {
		return nil, userkeys.Errorf(userkeys.Internal, "the site's answer has no code that could be shown")
	}
	d := &DeviceAuthorization{
		Request: a.Request, UserCode: printable(body.UserCode), VerificationURI: body.URI,
		VerificationURIWithRequest: body.URIAndToken,
		ExpiresIn:                  seconds(body.ExpiresIn, usualDeviceLife, time.Minute, maxDeviceLife),
		Interval:                   seconds(body.Interval, usualInterval, minPollInterval, maxPollInterval),
		request:                    a, deviceCode: body.DeviceCode,
	}
	if d.VerificationURIWithRequest == "" {
		d.VerificationURIWithRequest = d.VerificationURI
	}
	// The user will sign in there: an address elsewhere would be the login page of somebody else.
	for _, address := range []*string{&d.VerificationURI, &d.VerificationURIWithRequest} {
		u, err := url.Parse(*address)
		if err != nil || !OnSite(d.Request.Site, u) {
			return nil, elsewhere(d.Request.Site, *address, u)
		}
		*address = u.String() // as browsers spell it, without control characters
	}
	return d, nil
}

// elsewhere is the error for an address that is not on site. Most often it is the same site by another name.
func elsewhere(site, address string, u *url.URL) error {
	const says = "the site sends the person to an address that is not its own: %s"
	if u == nil || u.User != nil {
		return userkeys.Errorf(userkeys.Internal, says, printable(address))
	}
	folder, _, _ := strings.Cut(u.Path, activatePath)
	named, err := ParseSite(u.Scheme + "://" + u.Host + folder)
	if err != nil || !strings.Contains(u.Path, activatePath) {
		return userkeys.Errorf(userkeys.Internal, says, printable(address))
	}
	return userkeys.Errorf(userkeys.Internal, says+
		"; if that is the same site, log in to %s, or have it started with --url %s", printable(address), named, site)
}

// seconds returns a number of seconds of a site as a duration within bounds; the usual one if there is none.
func seconds(said float64, usual, least, most time.Duration) time.Duration {
	if !(said > 0) || said > 1e9 {
		return usual
	}
	return min(max(time.Duration(said*float64(time.Second)), least), most)
}

// Wait polls until the user has approved or denied, the code has expired, or ctx ends. It continues when the
// network fails for a time.
//
// Errors: [ErrDenied], [ErrCodeExpired], [ErrAnswerLost], [ErrWrongNonce], an [*APIError] that another poll would
// not change, the error of ctx.
func (d *DeviceAuthorization) Wait(ctx context.Context, base *http.Client) (*Credential, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.ExpiresIn+expirySlack, ErrCodeExpired)
	defer cancel()
	young, grow := context.WithTimeout(ctx, d.ExpiresIn-expirySlack)
	defer grow()
	interval, failures, maybeLost := d.Interval, 0, false
	pause := interval
	for {
		if sleep(ctx, pause) != nil {
			return nil, context.Cause(ctx)
		}
		pause = interval
		status, payload, err := d.poll(ctx, base)
		switch {
		case err == nil && status == "authorized":
			return d.request.Open(payload)
		case err == nil && status == "access_denied":
			return nil, ErrDenied
		case err == nil && status == "expired_token":
			if maybeLost && young.Err() == nil {
				return nil, ErrAnswerLost
			}
			return nil, ErrCodeExpired
		case err == nil && status == "authorization_pending":
			failures, maybeLost = 0, false
		case err == nil && status == "slow_down": // RFC 8628, 3.5
			interval = min(interval+usualInterval, maxPollInterval)
			pause = interval
		case err == nil:
			return nil, userkeys.Errorf(userkeys.Internal,
				"the site's answer to a poll is %q, which means nothing here", printable(status))
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		default:
			failures++
			var refused bool
			if pause, refused = d.pauseAfter(err, failures); refused {
				return nil, err
			}
			maybeLost = maybeLost || !errors.Is(err, userkeys.RateLimited)
		}
	}
}

// pauseAfter returns how long to wait after a poll that failed, longer each time; true if another poll would not
// help.
func (d *DeviceAuthorization) pauseAfter(err error, failures int) (time.Duration, bool) {
	var api *APIError
	switch {
	case errors.As(err, &api) && api.Status == http.StatusTooManyRequests:
		return min(max(api.RetryAfter, d.Interval), d.ExpiresIn), false
	case errors.As(err, &api) && api.Status < 500, failures >= maxPollingErrors:
		return 0, true
	}
	return min(d.Interval<<min(failures, 4), maxPollInterval), false
}

func (d *DeviceAuthorization) poll(ctx context.Context, base *http.Client) (string, string, error) {
	var body struct {
		Status  string `json:"status"`
		Payload string `json:"payload"`
	}
	req, err := jsonRequest(ctx, d.Request.Site+devicePollPath, map[string]string{"device_code": d.deviceCode})
	if err == nil {
		err = doWithin(maxAnswerBytes, stayingClient(base), req, &body)
	}
	return body.Status, body.Payload, err
}

// String does not show the device code: whoever knows it could fetch the key.
func (d *DeviceAuthorization) String() string { return "[device authorization]" }

// GoString does not show the device code in %#v.
func (d *DeviceAuthorization) GoString() string { return d.String() }

// jsonRequest returns a POST whose body is a JSON object.
func jsonRequest(ctx context.Context, address string, body map[string]string) (*http.Request, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(b))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}
