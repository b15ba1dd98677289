package fakesite

import (
	"context"

	"userkeys"
	"userkeys/authority"
	"userkeys/site"
)

// closedDesk has no device authorization and no one-time password for anybody:
// what happens with them is seen on whole sites (package test).
type closedDesk struct{}

var errClosed = userkeys.Errorf(userkeys.ConsentGone, "this is over")

func (closedDesk) ChargeDeviceCreate(string) error { return nil }

func (closedDesk) BeginDevice(context.Context, site.AuthorizationRequest, string) (site.DeviceGrant, error) {
	return site.DeviceGrant{}, errClosed
}

func (closedDesk) PollDevice(context.Context, string, string) (site.DeviceGrant, error) {
	return site.DeviceGrant{}, nil
}

func (closedDesk) PreviewDevice(context.Context, string, site.Caller) (authority.DeviceQuestion, error) {
	return authority.DeviceQuestion{}, errClosed
}

func (closedDesk) ActivateDevice(context.Context, string, string, site.Caller) (authority.DeviceQuestion, error) {
	return authority.DeviceQuestion{}, errClosed
}

func (closedDesk) AuthorizeDevice(context.Context, string, site.Caller, site.Choice) (authority.Granted, error) {
	return authority.Granted{}, errClosed
}

func (closedDesk) DenyDevice(context.Context, string, site.Caller) error { return errClosed }

func (closedDesk) ExamineOneTime(context.Context, site.AuthorizationRequest) (site.CheckedRequest, error) {
	return site.CheckedRequest{}, errClosed
}

func (closedDesk) PrepareOneTime(context.Context, site.AuthorizationRequest, site.Caller) (authority.Question, error) {
	return authority.Question{}, errClosed
}

func (closedDesk) GrantOneTime(context.Context, string, site.Caller) (string, error) {
	return "", errClosed
}

func (closedDesk) GrantOneTimeDirect(context.Context, site.AuthorizationRequest, site.Caller) (string, error) {
	return "", errClosed
}

func (closedDesk) OneTimePassword(context.Context, string, string) (site.OneTimePassword, error) {
	return site.OneTimePassword{}, errClosed
}

func (closedDesk) UseOneTimePassword(context.Context, string, string) (site.OneTimePassword, error) {
	return site.OneTimePassword{}, errClosed
}

func (closedDesk) RegisteredClient(context.Context, string) (site.Client, error) {
	return site.Client{}, userkeys.Errorf(userkeys.NotFound, "there is no such client")
}

func (closedDesk) ChargeRegistration(context.Context, string) error { return nil }

func (closedDesk) RegisterClient(context.Context, site.Client, string) error { return errClosed }

func (closedDesk) Renew(context.Context, userkeys.Access, string, string) (authority.Renewed, error) {
	return authority.Renewed{}, errClosed
}

func (closedDesk) EndedApps(context.Context, int64) ([]site.UserAPIKey, error) { return nil, nil }
