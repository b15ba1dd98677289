// Package scopes has the command scopes: scopes from an OpenAPI document, the differences between the two, and which
// scope opens a request.
package scopes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"userkeys/internal/cli"
	"userkeys/internal/sitecmd/sitedata"
)

// Commands returns the command.
func Commands() []*cobra.Command {
	cmd := &cobra.Command{
		Use: "scopes", Short: "Make scopes from an OpenAPI document, check them, explain them",
	}
	cmd.AddCommand(newImportCommand(), newCheckCommand(), newExplainCommand())
	return []*cobra.Command{cmd}
}

const prefixUsage = "what comes before every path, such as /api/v1; / for nothing " +
	"(default: the path of the document's servers)"

func newImportCommand() *cobra.Command {
	var by, prefix string
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Print scopes for the operations of an OpenAPI document", Args: cobra.ExactArgs(1),
		Long: `Print [[scope]] tables for the configuration file that open the operations of an
OpenAPI document, in JSON or YAML. Nothing is applied: read what is printed, write
the sentences that begin with TODO, which no server accepts, and put it into the
configuration file. Allow the scopes with allow_user_api_key_scopes.

An operation whose security requirement names scopes of OAuth 2 is opened by
scopes of these names. Every other operation is opened by a scope of its first
tag: tag_read if it is a GET, and tag_write if not. What has neither is in no
scope. Comments at the top list what is left out, and routes that open more than
their operation.`,
		Example: `  userkeys scopes import openapi.json > scopes.toml
  userkeys scopes import openapi.yaml --by security --prefix /api/v1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if by != "" && by != string(byTag) && by != string(bySecurity) {
				return cli.Exitf(cli.ExitUsage, "--by: %q is neither tag nor security", by)
			}
			d, err := readDocument(args[0], prefix, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return d.printScopes(cmd.OutOrStdout(), source(by))
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "make scopes of this only: tag or security (default: security, else tag)")
	cmd.Flags().StringVar(&prefix, "prefix", "", prefixUsage)
	return cmd
}

func newCheckCommand() *cobra.Command {
	var config, prefix string
	cmd := &cobra.Command{
		Use: "check --config FILE OPENAPI", Short: "Compare the scopes of a configuration file with an OpenAPI document",
		Long: `Print the operations of an OpenAPI document that no [[scope]] of the configuration
file opens, and the scopes and routes that open no operation. The exit code is 1 if
there are any. The scopes of Discourse, such as read and write, do not count.`,
		Example: `  userkeys scopes check --config userkeys.toml openapi.json
  userkeys scopes import openapi.json | userkeys scopes check --config - openapi.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if config == "" {
				return cli.Exitf(cli.ExitUsage, "name the configuration file with --config")
			}
			text, err := cli.ReadFile(config, cmd.InOrStdin())
			if err != nil {
				return err
			}
			own, err := sitedata.ReadScopes(config, text)
			if err != nil {
				return err
			}
			d, err := readDocument(args[0], prefix, cmd.InOrStdin())
			if err != nil {
				return err
			}
			lines := d.differences(own)
			for _, line := range lines {
				fmt.Fprintln(cli.ForTerminal(cmd.OutOrStdout()), line)
			}
			if len(lines) > 0 {
				return fmt.Errorf("the scopes of %s and the operations of %s differ in %d places", config, args[0], len(lines))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Every one of %d operations has a scope, and every route an operation.\n",
				len(d.operations))
			return err
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "configuration file (TOML); - for the standard input")
	cmd.Flags().StringVar(&prefix, "prefix", "", prefixUsage)
	return cmd
}

// readDocument reads a document that is JSON if it begins like an object of JSON, and otherwise YAML.
func readDocument(name, prefix string, in io.Reader) (*document, error) {
	content, err := cli.ReadFile(name, in)
	if err != nil {
		return nil, err
	}
	content = []byte(cli.WithoutBOM(string(content)))
	var decoded any
	if bytes.HasPrefix(bytes.TrimLeft(content, " \t\r\n"), []byte("{")) {
		err = json.Unmarshal(content, &decoded)
	} else if err = yaml.Unmarshal(content, &decoded); err != nil {
		text, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n") // the source follows
		err = errors.New(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d, err := parse(decoded, prefix)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}
