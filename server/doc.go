// Package server is the browser's and the app's side of a site: consent, the
// user's apps, login, administration, and the endpoints of the wire around
// them. It puts together one door (package door: who may come in, and what
// stands around every answer) and one package for each domain, which registers
// its routes in its Mount: signin, account, consent, apps, admin, deliveries, wire
// and live.
// What is allowed is decided by authority.
package server
