// Package site has the nouns and rules of a site that gives user API keys: its settings, what it remembers,
// and how it judges what apps ask for. Like the root package it is pure: it has no network, database or clock.
//
//   - [Settings], [Setting]: what an administrator chooses, and what that allows
//   - [AuthorizationRequest], [CheckedRequest]: what an app asks for, and what a site would grant
//   - [User], [Client], [UserAPIKey], [AdminAPIKey], [Grant], [Revocation], [Renewal]: what a site remembers
//   - [Caller]: who acts
//   - [DeviceGrant], [OneTimePassword]: the two other ways to a key and to a session
//   - [Notification], [Message], [Announcement], [Inbox]: what a site tells its users
//   - [Edge]: what is asked of every request before its key is looked at
package site
