// Package desk is what stands behind the app's commands: the keys that a person has to many sites, and
// what is to be posted there.
//
// Everything that it keeps lies in one folder of the person's own. Times come from
// Now fields; errors are [userkeys.Error] whose public text is one line for the person.
package desk
