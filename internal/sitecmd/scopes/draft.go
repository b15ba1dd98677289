package scopes

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"userkeys"
)

// source is what scopes are made of.
type source string

// The values of source.
const (
	bySecurity source = "security" // the scopes of the document's security schemes
	byTag      source = "tag"      // tags
	byBoth     source = ""         // security where an operation has such scopes, and otherwise tags
)

// A scope is what a [[scope]] of the configuration file has.
type scope struct {
	name, sentence string
	routes         []string
	operations     []operation
}

// draft gathers the scopes of a document.
type draft struct {
	document *document
	scopes   map[string]*scope // by what they are made of
	names    map[string]bool
	catalog  *userkeys.Catalog // whose names are taken
	notes    map[note][]string
}

// note is a heading of what a person has to look at.
type note string

const (
	noScope note = "No scope opens these operations, because the document gives them neither a tag nor a scope:"
	noRoute note = "No route can say these operations:"
	slashes note = "Here a value may have slashes; {name} stands for one segment. Write {name...} where it comes last:"
	overlap note = "These routes also open an operation of another scope:"
)

// printScopes prints [[scope]] tables for the configuration file that open the operations of the document, after
// comments about what a person has to look at.
func (d *document) printScopes(out io.Writer, by source) error {
	catalog, err := userkeys.NewCatalog()
	if err != nil {
		return err
	}
	t := &draft{d, make(map[string]*scope), make(map[string]bool), catalog, make(map[note][]string)}
	for _, o := range d.operations {
		t.add(o, by)
	}
	scopes := make([]*scope, 0, len(t.scopes))
	for _, s := range t.scopes {
		scopes = append(scopes, s)
	}
	slices.SortFunc(scopes, func(a, b *scope) int { return strings.Compare(a.name, b.name) })
	t.overlaps(scopes)
	var text strings.Builder
	for _, n := range []note{noScope, noRoute, slashes, overlap} {
		if len(t.notes[n]) > 0 {
			fmt.Fprintf(&text, "# %s\n#   %s\n\n", n, strings.Join(t.notes[n], "\n#   "))
		}
	}
	for _, s := range scopes {
		fmt.Fprintf(&text, "[[scope]]\nname = %s\nsentence = %s\nroutes = [\n", quoted(s.name), quoted(s.sentence))
		for _, r := range s.routes {
			fmt.Fprintf(&text, "  %s,\n", quoted(r))
		}
		text.WriteString("]\n\n")
	}
	_, err = io.WriteString(out, strings.TrimSuffix(text.String(), "\n"))
	return err
}

// add puts an operation into its scopes.
func (t *draft) add(o operation, by source) {
	if o.Refused != "" {
		t.note(noRoute, o.String()+": "+o.Refused)
		return
	}
	if len(o.Slashes) > 0 {
		t.note(slashes, o.String()+": "+strings.Join(o.Slashes, ", "))
	}
	switch {
	case len(o.scopes) > 0 && by != byTag:
		for _, needed := range o.scopes {
			t.scope("security\x00"+strings.Join(needed, "\x00"), func() (string, string) {
				return strings.Join(needed, "_and_"), t.document.sentenceOfScopes(needed)
			}).open(o)
		}
	case o.tag != "" && by != bySecurity:
		ending := "_write"
		if o.Method == "GET" || o.Method == "HEAD" {
			ending = "_read"
		}
		t.scope("tag"+ending+"\x00"+o.tag, func() (string, string) {
			return o.tag[:min(len(o.tag), 40)] + ending, t.document.sentenceOfTag(o.tag, ending)
		}).open(o)
	default:
		t.note(noScope, o.String())
	}
}

func (t *draft) note(n note, line string) {
	t.notes[n] = append(t.notes[n], userkeys.Printable(line))
}

// scope returns the scope that is made of a thing, and makes it if it is not there yet.
func (t *draft) scope(madeOf string, describe func() (name, sentence string)) *scope {
	if s := t.scopes[madeOf]; s != nil {
		return s
	}
	s := &scope{}
	s.name, s.sentence = describe()
	s.name = t.freeName(s.name)
	t.scopes[madeOf] = s
	return s
}

func (s *scope) open(o operation) {
	s.operations = append(s.operations, o)
	if !slices.Contains(s.routes, o.Route.String()) {
		s.routes = append(s.routes, o.Route.String())
	}
}

// freeName makes a name that the configuration takes and that nothing else has.
func (t *draft) freeName(from string) string {
	const most, begin = 50, "abcdefghijklmnopqrstuvwxyz"
	words := strings.FieldsFunc(strings.ToLower(from), func(r rune) bool {
		return !strings.ContainsRune(begin+"0123456789", r)
	})
	name := strings.Join(words, "_")
	if name == "" || !strings.Contains(begin, name[:1]) {
		name = "scope_" + name
	}
	if len(name) > most {
		name = name[:most]
	}
	for free, n := name, 2; ; n++ {
		if _, preset := t.catalog.Scope(free); !preset && !t.names[free] {
			t.names[free] = true
			return free
		}
		free = fmt.Sprintf("%s_%d", name, n)
	}
}

// overlaps notes the routes that open an operation which is in another scope only.
func (t *draft) overlaps(scopes []*scope) {
	for _, s := range scopes {
		for _, of := range s.operations {
			for _, other := range scopes {
				for _, o := range other.operations {
					if other != s && o.Path != of.Path && opens(of.Route, o) && !slices.Contains(s.routes, o.Route.String()) {
						t.note(overlap, fmt.Sprintf("%s of %s opens %s of %s", of.Route, s.name, o, other.name))
					}
				}
			}
		}
	}
}

// toDo begins a sentence that a person has to write. The configuration refuses it.
const toDo = "TODO: "

func (d *document) sentenceOfTag(tag, ending string) string {
	does := "create, change or delete"
	if ending == "_read" {
		does = "read"
	}
	about := firstSentence(d.tags[tag])
	if about == "" {
		return toDo + "say what an app may " + does + " with this; the document has no description of the tag " +
			userkeys.Printable(tag)
	}
	return does + ": " + about
}

func (d *document) sentenceOfScopes(names []string) string {
	var does []string
	for _, name := range names {
		about := firstSentence(d.scopes[name])
		if about == "" {
			return toDo + "say what an app may do with this; the document has no description of the scope " +
				userkeys.Printable(name)
		}
		does = append(does, about)
	}
	return strings.Join(does, ", and ")
}

// firstSentence returns the first sentence of a description in one line. Its first letter is small if it begins
// an ordinary word, because sentences of scopes continue "It wants to".
func firstSentence(description string) string {
	paragraph, _, _ := strings.Cut(strings.TrimSpace(description), "\n\n")
	sentence, _, _ := strings.Cut(strings.Join(strings.Fields(paragraph), " ")+" ", ". ")
	sentence = userkeys.Printable(strings.TrimSpace(sentence))
	if len(sentence) > 1 && 'A' <= sentence[0] && sentence[0] <= 'Z' && 'a' <= sentence[1] && sentence[1] <= 'z' {
		sentence = strings.ToLower(sentence[:1]) + sentence[1:]
	}
	return sentence
}

// quoted returns a string of TOML, whose escapes are those of JSON.
func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // cannot happen with a string
	}
	return strings.TrimSuffix(b.String(), "\n")
}
