package authority

import (
	"context"
	"errors"
	"time"

	"userkeys"
	"userkeys/internal/keycheck"
	"userkeys/site"
)

// The limits of the device flow (W13.5).
var (
	deviceCreates     = perMinute("device create", 20)
	devicePolls       = perMinute("device poll", 60)
	deviceCodePolls   = perMinute("device poll of a code", 60)
	deviceLookups     = stored("device look-up", 120, time.Hour)
	deviceUserLookups = perMinute("device look-up of a user", 30)
	deviceTokenLooks  = perMinute("device look-up of a token", 30)
	deviceTries       = stored("device code tried", 30, time.Hour)
	deviceUserTries   = stored("device code tried by a user", 10, time.Minute)
	deviceCodeTries   = stored("device code itself tried", 10, time.Minute)
)

// BeginDevice begins a device authorization. A request that could not be granted is refused at once.
//
// Errors: [userkeys.NotFound] if the site has no device authorization, and those of [Authority.Examine].
func (a *Authority) BeginDevice(ctx context.Context, r site.AuthorizationRequest, ip string) (site.DeviceGrant, error) {
	r.Kind = site.KindDevice
	if _, err := a.Examine(ctx, r); err != nil {
		return site.DeviceGrant{}, err
	}
	for range 3 { // codes are long; a clash is a miracle, and three are none
		d := site.NewDeviceGrant(r, ip, a.now().UTC())
		err := a.store.CreateDeviceGrant(ctx, d)
		if err == nil {
			a.logDevice(ctx, "created", "device_code", d.DeviceCode, "user_code", d.UserCode, "request", d.RequestToken)
			return d, nil
		}
		if !errors.Is(err, userkeys.Conflict) {
			return site.DeviceGrant{}, err
		}
	}
	return site.DeviceGrant{}, keycheck.Unavailable(errors.New("no free code"))
}

// ChargeDeviceCreate counts a request of ip to begin a device authorization. Call it before the request is read.
func (a *Authority) ChargeDeviceCreate(ip string) error {
	if !a.Settings().AllowUserAPIKeyDeviceAuth {
		return userkeys.Errorf(userkeys.NotFound, "this site has no device authorization")
	}
	return a.chargeHere(deviceCreates, site.Network(ip))
}

// PollDevice returns the device authorization with a device code. An answer is returned once only. The State is empty
// for a code that is unknown or has expired, so that the caller cannot tell one from the other.
func (a *Authority) PollDevice(ctx context.Context, deviceCode, ip string) (site.DeviceGrant, error) {
	if !a.Settings().AllowUserAPIKeyDeviceAuth {
		return site.DeviceGrant{}, userkeys.Errorf(userkeys.NotFound, "this site has no device authorization")
	}
	if err := a.charge(ctx, devicePolls, site.Network(ip)); err != nil {
		return site.DeviceGrant{}, err
	}
	if !site.IsDeviceCode(deviceCode) {
		return site.DeviceGrant{}, nil
	}
	d, err := a.store.PollDeviceGrant(ctx, deviceCode, a.now().UTC())
	if errors.Is(err, userkeys.ConsentGone) {
		return site.DeviceGrant{}, nil
	}
	switch {
	case err != nil:
	case d.State == site.DevicePending: // counted once it is known: invented codes must not fill the memory
		err = a.charge(ctx, deviceCodePolls, deviceCode)
	default:
		a.logDevice(ctx, "fetched", "device_code", deviceCode)
	}
	return d, err
}

// DeviceQuestion is what the page asks about a device authorization.
type DeviceQuestion struct {
	site.CheckedRequest
	Approval   string // what the page's form carries; empty for a preview
	Request    string // token of the address that led here; may be empty
	IP         string
	Asked      time.Time
	Until      time.Time
	Registered bool // the public key is that of a registered client
}

// PreviewDevice returns the question of a device authorization by the token in its address, without binding it to a
// user: the code must still be typed.
//
// Errors: [userkeys.ConsentGone] if the token is not known, [userkeys.RateLimited] after too many look-ups.
func (a *Authority) PreviewDevice(ctx context.Context, token string, b site.Caller) (DeviceQuestion, error) {
	if err := a.charge(ctx, deviceLookups, site.Network(b.Address)); err != nil {
		return DeviceQuestion{}, err
	}
	if err := a.mayAct(ctx, b.User); err != nil {
		return DeviceQuestion{}, err
	}
	if err := a.charge(ctx, deviceUserLookups, userSubject(b.User)); err != nil {
		return DeviceQuestion{}, err
	}
	if err := a.charge(ctx, deviceTokenLooks, token); err != nil {
		return DeviceQuestion{}, err
	}
	d, err := a.store.DeviceGrantByRequest(ctx, token, a.now().UTC())
	if err != nil {
		return DeviceQuestion{}, err
	}
	q, err := a.deviceQuestion(ctx, d)
	q.Request = token
	return q, err
}

func (a *Authority) deviceQuestion(ctx context.Context, d site.DeviceGrant) (DeviceQuestion, error) {
	d.Request.Kind = site.KindDevice
	checked, client, err := a.examine(ctx, d.Request)
	if err != nil {
		return DeviceQuestion{}, err
	}
	return DeviceQuestion{
		CheckedRequest: checked, IP: d.IP, Asked: d.CreatedAt, Until: d.ExpiresAt,
		Registered: client.Registered() && client.PublicKey == checked.KeyText,
	}, nil
}

// ActivateDevice binds the device authorization with the typed code to the user. token is that of the address that
// the user opened, or empty.
//
// Errors: [userkeys.ConsentGone] if the code is not known, [userkeys.RateLimited] after too many tries.
func (a *Authority) ActivateDevice(ctx context.Context, typed, token string, b site.Caller) (DeviceQuestion, error) {
	if err := a.charge(ctx, deviceTries, site.Network(b.Address)); err != nil {
		return DeviceQuestion{}, err
	}
	if err := a.charge(ctx, deviceUserTries, userSubject(b.User)); err != nil {
		return DeviceQuestion{}, err
	}
	if err := a.mayAct(ctx, b.User); err != nil {
		return DeviceQuestion{}, err
	}
	code, ok := site.ParseUserCode(typed)
	if !ok || token != "" && !site.IsRequestToken(token) {
		return DeviceQuestion{}, errDeviceCode
	}
	if err := a.charge(ctx, deviceCodeTries, code); err != nil {
		return DeviceQuestion{}, err
	}
	approval := newToken()
	d, err := a.store.BindDeviceGrant(ctx, site.TypedCode{
		UserCode: code, RequestToken: token, Approval: approval,
	}, b.At(a.now().UTC()))
	if err != nil {
		return DeviceQuestion{}, a.wrongCode(ctx, token, b, err)
	}
	a.logDevice(ctx, "activated", "user_code", code, "request", token, "approval", approval)
	q, err := a.deviceQuestion(ctx, d)
	q.Approval, q.Request = approval, token
	return q, err
}

// wrongCode returns why a code was refused. If the user may answer the request of token, the code belongs to another
// device; otherwise the reason is err.
func (a *Authority) wrongCode(ctx context.Context, token string, b site.Caller, err error) error {
	if token == "" || !errors.Is(err, userkeys.ConsentGone) {
		return err
	}
	d, look := a.store.DeviceGrantByRequest(ctx, token, a.now().UTC())
	if look != nil || d.UserID != 0 && d.UserID != b.User.ID {
		return err
	}
	return errOtherDeviceCode
}

// errDeviceCode is the error for a text that cannot be a code; see [IsDeviceCodeInvalid].
var errDeviceCode = &userkeys.Error{
	Code: userkeys.ConsentGone, Reason: "invalid code",
	Public: "this is no code of ours: it has eight letters and digits, such as ABCD-2345",
}

// errOtherDeviceCode is the error for a code that is not the one of the request whose address the user opened.
var errOtherDeviceCode = &userkeys.Error{
	Code: userkeys.ConsentGone, Reason: "invalid code",
	Public: "this is not the code of the device that asked; type the one that it shows",
}

// IsDeviceCodeInvalid reports whether an error of [Authority.ActivateDevice] means that the typed text cannot be the
// code.
func IsDeviceCodeInvalid(err error) bool {
	return errors.Is(err, errDeviceCode) || errors.Is(err, errOtherDeviceCode)
}

// OpenDevice returns the question of a device that waits for an answer of by under an approval token.
//
// Errors: [userkeys.ConsentGone] if there is none.
func (a *Authority) OpenDevice(ctx context.Context, approval string, by site.Caller) (DeviceQuestion, error) {
	d, err := a.store.DeviceGrantByApproval(ctx, approval, a.now().UTC())
	if err == nil && (d.UserID != by.User.ID || d.Session != by.Session.ID) {
		err = site.ErrConsentGone
	}
	if err != nil {
		return DeviceQuestion{}, err
	}
	q, err := a.deviceQuestion(ctx, d)
	q.Approval = approval
	return q, err
}

// DenyDevice denies a device authorization. The device is told so at its next poll.
func (a *Authority) DenyDevice(ctx context.Context, approval string, b site.Caller) error {
	err := a.store.DenyDeviceGrant(ctx, approval, b.At(a.now().UTC()))
	if err == nil {
		a.logDevice(ctx, "denied", "approval", approval)
	}
	return err
}

// logDevice logs a step of the device flow if the site setting for that is on. Of each code it writes 12 hexadecimal
// digits of a hash (W21).
func (a *Authority) logDevice(ctx context.Context, step string, codes ...string) {
	if !a.Settings().VerboseUserAPIKeyDeviceAuthLogging {
		return
	}
	attrs := []any{"step", step}
	for i := 0; i+1 < len(codes); i += 2 {
		if codes[i+1] != "" {
			attrs = append(attrs, codes[i], userkeys.Key(codes[i+1]).Hash().Short())
		}
	}
	a.log.InfoContext(ctx, "device authorization", attrs...)
}
