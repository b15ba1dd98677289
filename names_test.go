package userkeys_test

import (
	"go/ast"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// goneWords stood for several things each, or for something that has a name in the field. The glossary of
// ARCHITECTURE.md has the words in their place. They are not to come back, in names or in prose.
var goneWords = map[string]string{
	"asker":    "caller",
	"desk":     "what it is: a keystore, a check of keys, what people do about pushes",
	"doubt":    "the question that is asked again",
	"hearer":   "caller",
	"keeper":   "keystore",
	"lane":     "what it is: the requests to one address",
	"office":   "the data of a site",
	"parcel":   "delivery",
	"sick":     "failing",
	"stage":    "what it is: the demo that runs",
	"teller":   "what it is: who notifies",
	"ward":     "what it is: the addresses that fail",
	"exchange": "request", // in names only
}

// goneNames are names of packages, types and functions that have another name now.
var goneNames = regexp.MustCompile(`\b(Actor|Actor(User|Key|Command|AdminKey|System)|KnownHost|ChargeGuess|PushParcel|NewDesk|DeskConfig|GoneAfter|CreateOutside(r|User)|storetest|internal/(site|desk|outside|identity))\b`)

var wordPattern = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+`)

// wordsOf splits an identifier into its words in lower case.
func wordsOf(name string) []string {
	parts := wordPattern.FindAllString(name, -1)
	for i := range parts {
		parts[i] = strings.ToLower(parts[i])
	}
	return parts
}

// goneFrom returns the first word of text that went, as it stands there, or "".
func goneFrom(text string) string {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && r != '_' }) {
		w := strings.TrimSuffix(strings.ToLower(word), "s")
		if goneWords[w] != "" && w != "exchange" {
			return word
		}
	}
	return ""
}

// TestNamesThatWent reads every identifier, comment and page.
func TestNamesThatWent(t *testing.T) {
	t.Parallel()
	found := func(where, word, instead string) {
		t.Errorf("%s: %s is a name that went; say %s", where, word, instead)
	}
	clean := map[string]bool{} // identifiers that were looked at and may stay
	for _, f := range sources(t) {
		if f.path == "names_test.go" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok || clean[id.Name] {
				return true
			}
			clean[id.Name] = true
			if id.Name == "Exchange" { // of golang.org/x/oauth2
				return true
			}
			for _, w := range wordsOf(id.Name) {
				w = strings.TrimSuffix(w, "s")
				if instead := goneWords[w]; instead != "" {
					clean[id.Name] = false
					found(f.at(id), id.Name, instead)
				}
			}
			if goneNames.MatchString(id.Name) {
				clean[id.Name] = false
				found(f.at(id), id.Name, "what ARCHITECTURE.md says")
			}
			return true
		})
		for _, g := range f.syntax.Comments {
			for _, c := range g.List {
				if m := goneFrom(c.Text); m != "" {
					found(f.at(c), m, goneWords[strings.TrimSuffix(strings.ToLower(m), "s")])
				}
				if m := goneNames.FindString(c.Text); m != "" {
					found(f.at(c), m, "what ARCHITECTURE.md says")
				}
			}
		}
	}
	err := walkRepo(func(name string) error {
		if ext := path.Ext(name); ext != ".md" && ext != ".html" || name == "CHANGELOG.md" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, m := range []string{goneFrom(string(text)), goneNames.FindString(string(text))} {
			if m != "" {
				found(name, m, "what ARCHITECTURE.md says")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
