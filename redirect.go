package userkeys

// STUB: being written.

type Redirect struct{ raw string }

func ParseRedirect(s string) (Redirect, error)      { panic("stub") }
func (r Redirect) String() string                   { return r.raw }
func (r Redirect) Scheme() string                   { panic("stub") }
func (r Redirect) Host() string                     { panic("stub") }
func (r Redirect) Origin() string                   { panic("stub") }
func (r Redirect) Loopback() bool                   { panic("stub") }
func (r Redirect) With(nameValues ...string) string { panic("stub") }

type RedirectRule struct{ text string }

func ParseRedirectRule(s string) (RedirectRule, error)                  { return RedirectRule{s}, nil }
func (r RedirectRule) Matches(to Redirect) bool                         { panic("stub") }
func (r RedirectRule) String() string                                   { return r.text }
func (s Settings) CheckRedirect(auth_redirect string) (Redirect, error) { panic("stub") }
