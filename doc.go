// Package userkeys is the protocol by which a site's users give apps keys to
// its API: apps that nobody registered, keys that are limited in what they
// open and that their owner can take back. It is the protocol of Discourse's
// "User API keys", and apps written for that work unchanged.
//
// This package is the protocol: pure functions and values, without network,
// database or clock. What a site has besides is in package site. Others decide (authority), remember
// (store), show pages (server), guard an API (gateway), tell users things (notify) and
// speak for the app (client).
//
// # How a key is given
//
//	app                          user's browser                    site
//	 |  makes an RSA key pair         |                              |
//	 |------------------------------->| /user-api-key/new?...        |
//	 |                                |----------------------------->| ParseParameters
//	 |                                |                              | site.ParseAuthorizationRequest
//	 |                                |                              | its Check
//	 |                                |<-----------------------------| who asks for what, and where the answer goes
//	 |                                |----- yes ------------------->| site.Settings.CheckGrantor
//	 |                                |                              | NewKey, Payload.Seal
//	 |<-------------------------------|<--- Redirect.With(payload) --|
//	 |  OpenPayload, compares the nonce                              |
//	 |-- User-Api-Key: ... ----------------------------------------->| ParseKey, CanonicalPath, Route.Matches
//
// # Where safety decides
//
// What two programs could read in two ways is refused and never repaired: a
// parameter that is given twice ([ParseParameters]), an address that browsers
// read differently ([ParseRedirect]), a request path that a server behind would
// clean up ([CanonicalPath]), a key file that OpenSSL and Go disagree about
// ([ParsePublicKey]). The bytes that were judged are the bytes that are shown, sent or forwarded.
//
// Every refusal is an [Error] with a [Code] to match with errors.Is, a text for
// people that says what would help, and a cause for the log.
package userkeys
