package deliveries

// HostName is for tests of the package from outside.
var HostName = hostName
