// Package table is what a bench found: lines with figures and goals, printed and written into a document.
package table

import (
	"fmt"
	"strings"

	"userkeys/internal/bench"
)

// A Line is a line of the table.
type Line struct {
	What string
	Got  string
	Note string // after the figure; may be empty
	// Wrong says why the figure is not valid; empty if it is.
	Wrong string
	// Value is compared with Goal; for a Goal below 0 there is none, and the line only informs.
	Value, Goal float64
	Unit        string
	Informs     bool // whether it is no miss if Value is above Goal
}

// NoGoal is the goal of a line that only informs.
const NoGoal = -1

// Met reports whether the figure is valid and, if there is a goal that has to be met, meets it.
func (l Line) Met() bool {
	return l.Wrong == "" && (l.Informs || l.Goal < 0 || l.Value <= l.Goal)
}

// Header is the head of the table in Markdown.
const Header = "| what | min/median/max | goal | met |\n|---|---|---|---|"

// String returns the line in Markdown.
func (l Line) String() string {
	goal, met := "-", "-"
	if l.Goal >= 0 {
		goal, met = strings.TrimSpace(fmt.Sprintf("<= %g %s", l.Goal, l.Unit)), "yes"
		if l.Informs {
			goal += ", informs"
		}
		if l.Value > l.Goal {
			met = "no"
		}
	}
	if l.Wrong != "" {
		met = "WRONG"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", l.What, strings.TrimSpace(l.Got+" "+l.Note), goal, met)
}

// Of returns a line about the spread of a figure, whose median has a goal.
func Of(what string, s bench.Spread, goal float64) Line {
	return Line{What: what, Got: s.String(), Value: s.Median, Goal: goal}
}

// Ratio returns the line about the CPU time of a request to r, as a multiple of that to base, with which it was
// compared. It is not valid if one of them gave wrong answers.
func Ratio(what string, r, base bench.Result, goal float64) Line {
	cpu, rate := r.Over(base)
	l := Of(what, cpu, goal)
	l.Note = fmt.Sprintf("(%.1f / %.1f us; requests/s %s)", micro(r), micro(base), rate)
	for _, r := range []bench.Result{base, r} {
		if r.Bad > 0 {
			l.Wrong = fmt.Sprintf("%d of %d answers of %q were wrong: %s", r.Bad, r.Requests, r.Name, r.FirstBad)
		}
	}
	return l
}

func micro(r bench.Result) float64 { return float64(r.PerReq.Nanoseconds()) / 1000 }
