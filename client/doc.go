// Package client is the SDK for apps: it asks a user of a site for a user API key, opens the payload that the site
// returns, and calls the site's API with the key. It works with userkeys and with Discourse of any age.
//
// Most apps need these few names:
//
//   - [Login] asks for a key, for an app on the user's machine: by a browser there, by a code that the user types on
//     any device, or by a text that the user pastes. It returns a [Credential].
//   - [Begin] and [Authorization.Open] ask for a key, for an app with a web server of its own: the app sends the
//     browser to [Authorization].URL, and opens what comes back.
//   - [Credential.Get], [Credential.Client] and [Do] call the site's API. The key goes to that site only.
//   - [APIError] and [Explain] tell why a call was refused; [Credential.Diagnose] finds out why if the site does not
//     say.
//   - [Credential.Revoke] ends the key.
//
// The rest is for apps that need it:
//
//   - unread notifications: [Credential.Totals], [Credential.Notifications], [Credential.MarkRead], and [Bus] to be
//     told at once
//   - pushes to the app's own server: [Credential.PushSecret], [VerifyPush] or [PushVerifier], [ReplayGuard],
//     [PushStatus]; of a Discourse [ReadUnsignedPush]
//   - keys that end: [Credential.Renew], [Credential.RenewalDue], [Credential.Alive]
//   - servers whose users choose the site: [Outward]
//   - what a site supports, before a key is asked for: [Probe], [Authorization.Check]
//   - parts of [Login], for apps that do it themselves: [ListenLoopback], [BeginDevice], [NewKeyPair], [OpenBrowser]
//
// The package keeps no state of its own: an app stores the values that it returns.
package client
