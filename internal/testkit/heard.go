package testkit

import (
	"encoding/json"
	"slices"

	"github.com/chromedp/cdproto/accessibility"
)

// Heard is what a screen reader tells of the page, in its order, of elements with one of these roles: role, name, and
// description if there is one.
func (b *Browser) Heard(roles ...string) []string {
	b.t.Helper()
	nodes := map[accessibility.NodeID]*accessibility.Node{}
	tree := command(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes
	for _, n := range tree {
		nodes[n.NodeID] = n
	}
	var heard []string
	var walk func(n *accessibility.Node)
	walk = func(n *accessibility.Node) {
		if role := said(n.Role); !n.Ignored && slices.Contains(roles, role) {
			line := role + ": " + said(n.Name)
			if d := said(n.Description); d != "" {
				line += " (" + d + ")"
			}
			heard = append(heard, line)
		}
		for _, id := range n.ChildIDs {
			if child := nodes[id]; child != nil {
				walk(child)
			}
		}
	}
	if len(tree) > 0 {
		walk(tree[0])
	}
	return heard
}

// said is the text of a value of the accessibility tree; empty for none.
func said(v *accessibility.Value) string {
	var text string
	if v != nil {
		_ = json.Unmarshal(v.Value, &text) // no text: nothing is said
	}
	return text
}
