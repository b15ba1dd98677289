// Package keystore keeps the keys that a person has to many sites, on the
// person's machine: in a folder of their own, encrypted to a secret in the
// keychain or under a passphrase, or readable if they choose that.
//
// Errors are [userkeys.Error] whose public text is one line for the person.
package keystore
