package fakesite

import (
	"context"

	"userkeys"
	"userkeys/authority"
)

// closedDesk has no device authorization and no one-time password for anybody:
// what happens with them is seen on whole sites (package test).
type closedDesk struct{}

var errClosed = userkeys.Errorf(userkeys.ConsentGone, "this is over")

func (closedDesk) ChargeDeviceCreate(string) error { return nil }

func (closedDesk) BeginDevice(context.Context, userkeys.AuthorizationRequest, string) (userkeys.DeviceGrant, error) {
	return userkeys.DeviceGrant{}, errClosed
}

func (closedDesk) PollDevice(context.Context, string, string) (userkeys.DeviceGrant, error) {
	return userkeys.DeviceGrant{}, nil
}

func (closedDesk) PreviewDevice(context.Context, string, userkeys.Caller) (authority.DeviceQuestion, error) {
	return authority.DeviceQuestion{}, errClosed
}

func (closedDesk) ActivateDevice(context.Context, string, string, userkeys.Caller) (authority.DeviceQuestion, error) {
	return authority.DeviceQuestion{}, errClosed
}

func (closedDesk) AuthorizeDevice(context.Context, string, userkeys.Caller, userkeys.Choice) (authority.Granted, error) {
	return authority.Granted{}, errClosed
}

func (closedDesk) DenyDevice(context.Context, string, userkeys.Caller) error { return errClosed }

func (closedDesk) ExamineOneTime(context.Context, userkeys.AuthorizationRequest) (userkeys.CheckedRequest, error) {
	return userkeys.CheckedRequest{}, errClosed
}

func (closedDesk) PrepareOneTime(context.Context, userkeys.AuthorizationRequest, userkeys.Caller) (authority.Question, error) {
	return authority.Question{}, errClosed
}

func (closedDesk) GrantOneTime(context.Context, string, userkeys.Caller) (string, error) {
	return "", errClosed
}

func (closedDesk) GrantOneTimeDirect(context.Context, userkeys.AuthorizationRequest, userkeys.Caller) (string, error) {
	return "", errClosed
}

func (closedDesk) OneTimePassword(context.Context, string, string) (userkeys.OneTimePassword, error) {
	return userkeys.OneTimePassword{}, errClosed
}

func (closedDesk) UseOneTimePassword(context.Context, string, string) (userkeys.OneTimePassword, error) {
	return userkeys.OneTimePassword{}, errClosed
}

func (closedDesk) RegisteredClient(context.Context, string) (userkeys.Client, error) {
	return userkeys.Client{}, userkeys.Errorf(userkeys.NotFound, "there is no such client")
}

func (closedDesk) ChargeRegistration(context.Context, string) error { return nil }

func (closedDesk) RegisterClient(context.Context, userkeys.Client, string) error { return errClosed }

func (closedDesk) Renew(context.Context, userkeys.Access, string, string) (authority.Renewed, error) {
	return authority.Renewed{}, errClosed
}

func (closedDesk) EndedApps(context.Context, int64) ([]userkeys.UserAPIKey, error) { return nil, nil }
