// Package demo is what `userkeys demo` shows: a small website that knows
// nothing of keys ([NewSite]), an app that wants to use it ([NewNotifier]),
// and a walk through the protocol that prints what travels and checks every step ([Walk]).
package demo
