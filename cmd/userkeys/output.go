package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"userkeys"
)

// addJSONFlag gives a listing its --json.
func addJSONFlag(cmd *cobra.Command) {
	cmd.Flags().Bool("json", false, "print JSON")
}

// listing prints rows as JSON if asked to, else as a table with the given head.
func listing[T any](cmd *cobra.Command, rows []T, head string, line func(T) []string) error {
	out := cmd.OutOrStdout()
	if asked, err := cmd.Flags().GetBool("json"); err != nil {
		return err
	} else if asked {
		if rows == nil {
			rows = []T{}
		}
		return writeJSON(out, rows)
	}
	table := [][]string{strings.Split(head, ",")}
	for _, r := range rows {
		table = append(table, line(r))
	}
	return printTable(out, table)
}

// writeJSON prints a value for programs, which people read too.
func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// forTerminal is out, without what steers a terminal if it is one. A file gets every byte.
func forTerminal(out io.Writer) io.Writer {
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return harmless{out}
	}
	return out
}

// harmless writes control characters as question marks, but for line ends and tabs.
type harmless struct{ to io.Writer }

func (w harmless) Write(p []byte) (int, error) {
	shown := bytes.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' {
			return '?'
		}
		return r
	}, p)
	if _, err := w.to.Write(shown); err != nil {
		return 0, err
	}
	return len(p), nil
}

// printTable prints rows in columns.
func printTable(out io.Writer, rows [][]string) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		for i := range cells {
			cells[i] = userkeys.Printable(cells[i]) // apps and users wrote some
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// moment is a time for a table; "-" for never.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// timeCell is a time of a JSON value for a table; "-" for null.
func timeCell(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return moment(*t)
}
