package recipe

import (
	"regexp"
	"slices"
	"strings"
)

// directive is a directive of nginx, and the block that it stands in.
type directive struct {
	words []string
	block *block
}

// block is a block of nginx, such as a location.
type block struct {
	within *block
	asks   bool // it has the question of the recipe
}

// asking returns the block that asks about the requests of b: b itself or one around it, or nil.
func (b *block) asking() *block {
	for b != nil && !b.asks {
		b = b.within
	}
	return b
}

// nginxUndone returns the directives that undo the recipe for nginx because of the block in which they stand, and why.
func nginxUndone(text string) []string {
	var undone []string
	for _, d := range nginxDirectives(text) {
		if why := d.undoes(); why != "" {
			undone = append(undone, strings.Join(d.words, " ")+"; ("+why+")")
		}
	}
	return undone
}

// undoes says what a directive undoes where it stands; empty if nothing.
func (d directive) undoes() string {
	name, asking := d.words[0], d.block.asking()
	switch {
	case asking == nil && name == "proxy_pass" && slices.Contains(d.words, "http://$userkeys_to"),
		asking != d.block && asking != nil && name == "auth_request":
		return "nobody is asked about requests in this block"
	case asking == nil:
		return ""
	case name == "rewrite", strings.HasPrefix(name, "rewrite_by_lua"), name == "return" && !refuses(d.words):
		return "nginx does this before it asks"
	case d.block != asking && slices.Contains([]string{"proxy_set_header", "add_header", "proxy_hide_header"}, name):
		return "in this block nginx forgets the recipe's lines of " + name
	}
	return ""
}

// refuses reports whether a return directive refuses requests.
func refuses(words []string) bool {
	return len(words) > 1 && len(words[1]) == 3 && (words[1][0] == '4' || words[1][0] == '5')
}

var nginxToken = regexp.MustCompile(`#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|(?:\$\{[^}]*\}|\\.|[^\s{};])+`)

// nginxDirectives reads a configuration of nginx, without what stands in blocks of Lua.
func nginxDirectives(text string) []directive {
	var list []directive
	var words []string
	var at *block
	lua := 0 // how deep in a block of Lua
	for _, token := range nginxToken.FindAllString(text, -1) {
		switch {
		case token[0] == '#':
			continue
		case !strings.Contains("{};", token):
			words = append(words, strings.Trim(token, `"'`))
			continue
		case token == "}" && lua > 0:
			lua--
		case token == "{" && lua > 0:
			lua++
		case lua > 0: // the end of a statement in Lua
		case token == "}" && at != nil:
			at = at.within
		case token != "}" && len(words) > 0:
			list = append(list, directive{words, at})
			switch {
			case token == ";":
				if at != nil && words[0] == "auth_request" && slices.Contains(words, "/_userkeys/ask") {
					at.asks = true
				}
			case strings.HasSuffix(words[0], "_by_lua_block"):
				lua = 1
			default:
				at = &block{within: at}
			}
		}
		words = nil
	}
	return list
}
