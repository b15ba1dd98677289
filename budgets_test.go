package userkeys_test

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// budgets bound the size of what a reader has to take in at one time. Lines are lines with code.
var budgets = map[string]int{
	"package":    1200,
	"file":       400,
	"function":   50,
	"parameters": 4,
	"methods":    40,  // on one type
	"interface":  10,  // methods, those of embedded interfaces included
	"width":      120, // characters of a line
}

// mostTokens is how many tokens nine of ten lines of code may have at most. Comparable projects have 13 to 17; to break
// every line that has more would add some 2,300 lines to read.
const mostTokens = 18

// packageBudgets are the packages with another bound, and 0 for those without one.
var packageBudgets = map[string]int{
	".": 2200, "site": 2000,
	"store": 0, "internal/testkit": 0, "internal/testkit/fakesite": 0, "internal/testkit/discourse": 0,
}

// exceptions are the things above their budget, by kind and name, and why they are better so.
// There are at most [maxExceptions].
var exceptions = map[string]string{
	"package site":              "its table of settings is 200 lines of data, four a setting, so that a setting is in one place",
	"interface authority.Store": "the sum of what its parts need, each of which sees its own part; an embedder gives one store",
	"package client":            "the SDK is one package, so that an app imports one; its doc.go says which names most apps need",
}

const maxExceptions = 10

// TestBudgets holds all product code to its budgets. With -v it prints what everything measures.
func TestBudgets(t *testing.T) {
	t.Parallel()
	h := measureHouse(t)
	used := map[string]bool{}
	for _, m := range h.measures {
		limit := budgetOf(m)
		if limit == 0 || m.size <= limit {
			continue
		}
		key := m.kind + " " + m.name
		used[key] = true
		if exceptions[key] == "" {
			t.Errorf("%s: %s %d, budget %d", m.where, m.kind, m.size, limit)
		}
	}
	for name := range exceptions {
		if !used[name] {
			t.Errorf("%s is within its budget and needs no exception", name)
		}
	}
	if len(exceptions) > maxExceptions {
		t.Errorf("%d exceptions, at most %d", len(exceptions), maxExceptions)
	}
	logHouse(t, h)
}

func budgetOf(m measure) int {
	dir := m.name
	if m.kind == "methods" {
		dir = strings.TrimSuffix(dir, path.Ext(dir))
	}
	limit, ok := packageBudgets[dir]
	if ok && (m.kind == "package" || m.kind == "methods" && limit == 0) {
		return limit
	}
	return budgets[m.kind]
}

// logHouse prints the code lines of every package, their sum, and how wide code is.
func logHouse(t *testing.T, h house) {
	t.Helper()
	var out strings.Builder
	sum := 0
	for _, dir := range slices.SortedFunc(maps.Keys(h.code), func(a, b string) int { return cmp.Compare(h.code[b], h.code[a]) }) {
		fmt.Fprintf(&out, "%6d %s\n", h.code[dir], dir)
		sum += h.code[dir]
	}
	slices.Sort(h.tokens)
	p90 := h.tokens[len(h.tokens)*9/10]
	t.Logf("code lines by package:\n%s%6d in all, %d packages; tokens a line, nine of ten: %d", out.String(), sum, len(h.code), p90)
	if p90 > mostTokens {
		t.Errorf("nine of ten code lines have up to %d tokens, budget %d", p90, mostTokens)
	}
}
