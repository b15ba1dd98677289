package userkeys_test

import (
	"go/ast"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
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
var goneNames = regexp.MustCompile(`\b(Actor|Actor(User|Key|Command|AdminKey|System)|KnownHost|ChargeGuess|PushParcel|NewDesk|DeskConfig|storetest|internal/(site|desk))\b`)

var wordPattern = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+`)

// wordsOf splits an identifier into its words in lower case.
func wordsOf(name string) []string {
	parts := wordPattern.FindAllString(name, -1)
	for i := range parts {
		parts[i] = strings.ToLower(parts[i])
	}
	return parts
}

// TestNamesThatWent reads every identifier, comment and page.
func TestNamesThatWent(t *testing.T) {
	t.Parallel()
	prose := regexp.MustCompile(`(?i)\b(asker|desk|doubt|hearer|keeper|lane|office|parcel|sick|stage|teller|ward)s?\b`)
	found := func(where, file, word, instead string) {
		if !slices.ContainsFunc(namesLeft, func(dir string) bool { return strings.HasPrefix(file, dir) }) {
			t.Errorf("%s: %s is a name that went; say %s", where, word, instead)
		}
	}
	for _, f := range sources(t) {
		if f.path == "names_test.go" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			for _, w := range wordsOf(id.Name) {
				w = strings.TrimSuffix(w, "s")
				if instead := goneWords[w]; instead != "" {
					found(f.at(id), f.path, id.Name, instead)
				}
			}
			if goneNames.MatchString(id.Name) {
				found(f.at(id), f.path, id.Name, "what ARCHITECTURE.md says")
			}
			return true
		})
		for _, g := range f.syntax.Comments {
			for _, c := range g.List {
				if m := prose.FindString(c.Text); m != "" {
					found(f.at(c), f.path, m, goneWords[strings.TrimSuffix(strings.ToLower(m), "s")])
				}
				if m := goneNames.FindString(c.Text); m != "" {
					found(f.at(c), f.path, m, "what ARCHITECTURE.md says")
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
		for _, pattern := range []*regexp.Regexp{prose, goneNames} {
			if m := pattern.Find(text); m != nil {
				found(name, name, string(m), goneWords[strings.ToLower(string(m))])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// namesLeft are the folders and files that still have some of these names.
var namesLeft = []string{
	"authority/", "docs/", "embedding", "examples/", "gateway/", "internal/", "notify/", "outbox/", "server/", "site/", "store/", "test/",
}
