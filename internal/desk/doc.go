// Package desk is what stands behind the app's commands: the keys that a person has to many
// sites, what is watched there, what is to be posted, and what could be wrong.
//
// Everything that it keeps lies in one folder of the person's own. Times come from
// Now fields; errors are [userkeys.Error] whose public text is one line for the person.
package desk
