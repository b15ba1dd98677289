package scopes

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"userkeys"
	"userkeys/gateway"
	"userkeys/internal/cli"
	"userkeys/internal/sitecmd/sitedata"
)

// row tells what a scope means for a request.
type row struct {
	Scope   string `json:"scope"`
	Opens   bool   `json:"opens"`
	Allowed bool   `json:"allowed"` // by the site, to apps
	Why     string `json:"why"`
}

func newExplainCommand() *cobra.Command {
	o := &sitedata.Options{}
	cmd := &cobra.Command{
		Use: "explain METHOD PATH", Short: "Tell which scopes open a request, and why others do not",
		Long: `Tell for every scope of the site whether it opens a request, by which route, and
whether the site allows it to apps; and if it does not, what is nearest to it. Give
the --config of the server, which has the site's own scopes.`,
		Example: `  userkeys scopes explain GET /t/12.json --config userkeys.toml`,
		Args:    cobra.ExactArgs(2),
		RunE:    o.With(explain),
	}
	o.AddFlags(cmd.Flags())
	cli.AddJSONFlag(cmd)
	return cmd
}

func explain(cmd *cobra.Command, d *sitedata.Data, args []string) error {
	method := args[0]
	if !slices.Contains(allMethods, method) {
		return fmt.Errorf("no scope opens %s: keys are for %s", method, strings.Join(allMethods, ", "))
	}
	target, _, _ := strings.Cut(args[1], "?") // the query takes no part
	path, err := userkeys.CanonicalPath(target)
	if err != nil {
		return fmt.Errorf("no scope opens %s: %s", target, cli.Explain(err))
	}
	allowed := d.Authority.Settings().AllowUserAPIKeyScopes
	var open, closed []row
	for _, s := range d.Authority.Catalog().Scopes() {
		r := row{Scope: s.Name, Allowed: allowed.Has(s.Name)}
		if r.Opens, r.Why = why(s, method, path); r.Opens {
			open = append(open, r)
		} else {
			closed = append(closed, r)
		}
	}
	if gateway.OwnPath()(path) {
		fmt.Fprintf(cmd.ErrOrStderr(),
			"userkeys answers %s itself, and takes keys on few such paths, whatever their scopes.\n", path)
	}
	return cli.Listing(cmd, append(open, closed...), "SCOPE,OPENS IT,ALLOWED TO APPS,WHY", func(r row) []string {
		return []string{r.Scope, yesNo(r.Opens), yesNo(r.Allowed), r.Why}
	})
}

// allMethods are those that a route can name, and HEAD.
var allMethods = slices.Concat(userkeys.Methods, userkeys.MoreMethods)

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// why reports whether a scope opens a request, and by which route; or which one is nearest.
func why(s userkeys.Scope, method, at string) (bool, string) {
	match := func(method, at string) string {
		i := slices.IndexFunc(s.Routes, func(r userkeys.Route) bool { return r.Matches(method, at) })
		if i < 0 {
			return ""
		}
		return s.Routes[i].String()
	}
	if r := match(method, at); r != "" {
		return true, r
	}
	if len(s.Routes) == 0 {
		return false, "it has no routes"
	}
	for _, other := range allMethods {
		if r := match(other, at); r != "" {
			return false, "the path, but another method: " + r
		}
	}
	near := []string{strings.TrimSuffix(at, "/"), at + "/", strings.TrimSuffix(at, path.Ext(at)), at + ".json"}
	for _, near := range near {
		if r := match(method, near); r != "" {
			return false, fmt.Sprintf("%s, but not %s: %s", near, at, r)
		}
	}
	return false, "none of its routes is for this path"
}
