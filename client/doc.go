// Package client is the app's side: it asks a person for a key, opens the
// sealed answer, and calls the site's API with it. It works against userkeys
// and against Discourse.
//
// An app on a person's machine needs one call, [Login]: it sends the person to the
// site by a browser on this machine, a code for any device, or an answer to paste, waits, and returns a [Credential].
// An app with a web server of its own uses [Begin], sends the browser to
// [Authorization].URL, and gives what comes back to [Authorization.Open].
// Either way [Credential.Client] is then an [net/http.Client] that sends the key to
// that site and to nobody else.
//
// The package keeps no state of its own: what must outlive a call is in the
// values it returns.
package client
