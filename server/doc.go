// Package server is the browser's and the app's door: consent, the user's apps
// page, login, settings, and the endpoints of the wire around them. You go here
// to change what a person sees or what those routes answer; what is allowed is
// decided by authority.
//
// Every route stands in routes.go with its rules. One adapter (adapter.go) holds
// the rules, renders errors and logs; handlers return errors. Pages are typed
// methods (pages.go) over the templates beside them.
package server
