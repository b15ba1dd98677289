package apology

import (
	"net/http"
	"strconv"
)

const (
	nothingDone = "Nothing was done."
	tellAuthor  = "If a link or an app brought you here, tell whoever made it."
)

// TooMany is the page for somebody from whose address too many requests come. code is the limit's name on the wire.
func TooMany(seconds int, code string) Page {
	wait := strconv.Itoa(seconds) + " seconds"
	if seconds == 1 {
		wait = "1 second"
	}
	return Page{
		Status: http.StatusTooManyRequests, Title: "Too many requests",
		Says: []string{
			"More requests come from your internet address than this site answers. Others who share your connection count too.",
			"Wait " + wait + ", then try again. If it happens often, tell whoever runs this site that the limit is " +
				code + ".",
		},
		Link: "Try again",
	}
}

// Misdirected is the page under a name that is not the site's, whose address is base.
func Misdirected(base string) Page {
	return Page{
		Status: http.StatusMisdirectedRequest, Title: "This site has another address",
		Says: []string{
			"You reached " + base + " by a name that is not its own, so it does not answer here.",
			"If you run this site and the name is right, start it with another --url.",
		},
		Address: base, Link: "Go to " + base,
	}
}

// Refused is the page for a request that is refused for what it is, with a status of 400, 405, 408, 413 or another.
func Refused(status int) Page {
	p := Page{Status: status, Address: "/", Link: toStart}
	switch status {
	case http.StatusMethodNotAllowed:
		p.Title = "That cannot be done here"
		p.Says = []string{"This site does not take requests of that kind. " + nothingDone, tellAuthor}
	case http.StatusRequestTimeout:
		p.Title = "That took too long"
		p.Says = []string{
			"What your browser sent came too slowly, so this site stopped waiting. " + nothingDone,
			"Try again with a better connection, or send less.",
		}
	case http.StatusRequestEntityTooLarge:
		p.Title = "That is too large"
		p.Says = []string{
			"What your browser sent is larger than this site takes. " + nothingDone,
			"Go back and send less. Whoever runs this site can say how much it takes.",
		}
	default:
		p.Title = "This request cannot be read"
		p.Says = []string{
			"The address, or something else that your browser sent, can be read in more than one way. " + nothingDone,
			tellAuthor,
		}
	}
	return p
}
