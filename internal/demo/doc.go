// Package demo has the two programs that `userkeys demo` runs beside a userkeys site: a small website that knows
// nothing of keys ([NewSite]), and an app that asks its visitors for keys to it ([NewNotifier]).
package demo
