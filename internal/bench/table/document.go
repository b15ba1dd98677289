package table

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Between these lines of a document stands a table that a bench has written.
const (
	begin = "<!-- Written by make bench BENCHARGS=-markdown. Do not edit it. -->"
	end   = "<!-- The end of what make bench has written. -->"
)

// WriteInto replaces what stands between the two marks in the document at path.
func WriteInto(path, text string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	doc, err := replace(string(b), text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(doc), 0o644)
}

func replace(doc, text string) (string, error) {
	before, rest, ok := strings.Cut(doc, begin+"\n")
	_, after, ok2 := strings.Cut(rest, end+"\n")
	if !ok || !ok2 {
		return "", errors.New("the marks between which the table stands are missing")
	}
	return before + begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + end + "\n" + after, nil
}
