package scopes

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"userkeys"
)

// A document is what scopes need of an OpenAPI document.
type document struct {
	operations []operation
	root       map[string]any
	tags       map[string]string // what the document says of its tags
	scopes     map[string]string // and of the scopes of its security schemes
}

// An operation is a method and a path that a document describes.
type operation struct {
	Method, Path string
	// Route opens the operation if Refused is empty, which otherwise says why no route can.
	Route   userkeys.Route
	Refused string
	Slashes []string // parameters whose values may have slashes; a {name} of a route stands for one segment only

	sample string     // a path of a request
	tag    string     // the first one
	scopes [][]string // each of these sets of scopes is enough, if a client has all of it
}

// String returns the operation as routes are written.
func (o operation) String() string { return o.Method + " " + o.Path }

// parse reads a document, which is what JSON or YAML become when they are decoded. prefix comes before every path;
// if it is empty, the paths of the document's servers do. The prefix / is none.
func parse(decoded any, prefix string) (*document, error) {
	root, _ := decoded.(map[string]any)
	if text(root["openapi"]) == "" && text(root["swagger"]) == "" {
		return nil, errors.New("this is no OpenAPI document: it has neither openapi nor swagger at its top")
	}
	if prefix != "" && !strings.HasPrefix(prefix, "/") {
		return nil, fmt.Errorf("the prefix %q does not begin with a slash", prefix)
	}
	d := &document{root: root, tags: make(map[string]string), scopes: make(map[string]string)}
	for _, entry := range list(root["tags"]) {
		tag := object(entry)
		d.tags[text(tag["name"])] = text(tag["description"])
	}
	oauth, err := d.schemes()
	if err != nil {
		return nil, err
	}
	paths := object(root["paths"])
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item, err := d.resolve(paths[path])
		if err != nil {
			return nil, fmt.Errorf("paths: %s: %w", path, err)
		}
		for _, method := range slices.Sorted(maps.Keys(item)) {
			if !slices.Contains(operationKeys, method) {
				continue
			}
			o, err := d.operation(item, object(item[method]), oauth, prefix+"\x00"+path)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", strings.ToUpper(method), path, err)
			}
			o.finish(strings.ToUpper(method))
			d.operations = append(d.operations, o)
		}
	}
	if len(d.operations) == 0 {
		return nil, errors.New("the document has no operations")
	}
	return d, nil
}

// operationKeys are the keys of a path that are methods, without those that no key may use: options, trace and query.
var operationKeys = []string{"get", "head", "post", "put", "patch", "delete"}

// operation reads what an operation says of itself. where is the prefix and the path, with a zero byte between them.
func (d *document) operation(item, op map[string]any, oauth map[string]bool, where string) (operation, error) {
	prefix, path, _ := strings.Cut(where, "\x00")
	o := operation{}
	if prefix == "" {
		var err error
		if prefix, err = d.serverPath(item, op); err != nil {
			return o, err
		}
	}
	o.Path = strings.TrimRight(prefix, "/") + path
	if tags := list(op["tags"]); len(tags) > 0 {
		o.tag = text(tags[0])
	}
	for _, p := range slices.Concat(list(item["parameters"]), list(op["parameters"])) {
		parameter, err := d.resolve(p)
		if err != nil {
			return o, err
		}
		schema, err := d.resolve(parameter["schema"])
		if err != nil {
			return o, err
		}
		if name := text(parameter["name"]); parameter["in"] == "path" && mayHaveSlashes(name, parameter, schema) {
			o.Slashes = append(o.Slashes, name)
		}
	}
	security := op["security"]
	if security == nil {
		security = d.root["security"]
	}
	for _, entry := range list(security) {
		var needed []string
		for scheme, names := range object(entry) {
			for _, name := range list(names) {
				if oauth[scheme] {
					needed = append(needed, text(name))
				}
			}
		}
		if slices.Sort(needed); len(needed) > 0 {
			o.scopes = append(o.scopes, slices.Compact(needed))
		}
	}
	return o, nil
}

// schemes returns which security schemes have scopes, and notes what these are for.
func (d *document) schemes() (map[string]bool, error) {
	oauth := make(map[string]bool)
	all := maps.Clone(object(object(d.root["components"])["securitySchemes"]))
	if all == nil {
		all = object(d.root["securityDefinitions"])
	}
	for name, entry := range all {
		scheme, err := d.resolve(entry)
		if err != nil {
			return nil, fmt.Errorf("the security scheme %s: %w", name, err)
		}
		oauth[name] = scheme["type"] == "oauth2" || scheme["type"] == "openIdConnect"
		flows := []any{scheme}
		for _, flow := range object(scheme["flows"]) {
			flows = append(flows, flow)
		}
		for _, flow := range flows {
			for scope, about := range object(object(flow)["scopes"]) {
				d.scopes[scope] = text(about)
			}
		}
	}
	return oauth, nil
}

var (
	parameterPattern = regexp.MustCompile(`\{[^{}]*\}`)
	oddInName        = regexp.MustCompile(`[^A-Za-z0-9_{}-]`)
)

// finish finds the route of the operation.
func (o *operation) finish(method string) {
	o.Method = method
	if p, err := url.PathUnescape(o.Path); err == nil && strings.Count(p, "/") == strings.Count(o.Path, "/") {
		o.Path = p // routes are compared with decoded paths
	}
	o.Path = parameterPattern.ReplaceAllStringFunc(o.Path, func(name string) string {
		if strings.ContainsAny(name, "+*") { // as in templates of RFC 6570
			o.Slashes = append(o.Slashes, strings.Trim(name, "{}"))
		}
		return oddInName.ReplaceAllString(name, "_")
	})
	o.sample = parameterPattern.ReplaceAllLiteralString(o.Path, sample)
	slices.Sort(o.Slashes)
	o.Slashes = slices.Compact(o.Slashes)
	route := o.Method
	if route == "HEAD" {
		route = "GET"
	}
	var err error
	if o.Route, err = userkeys.ParseRoute(route + " " + o.Path); err != nil {
		_, o.Refused, _ = strings.Cut(userkeys.AsError(err).Public, `": `)
	}
}

// mayHaveSlashes reports whether a parameter of a path looks as if its values may have slashes. OpenAPI before 3.2
// cannot say so; documents do it by these means.
func mayHaveSlashes(name string, parameter, schema map[string]any) bool {
	name = strings.ToLower(name)
	return parameter["x-multi-segment"] == true || parameter["allowReserved"] == true ||
		strings.Contains(text(schema["pattern"]), "/") || strings.Contains(text(parameter["example"]), "/") ||
		name == "rest" || strings.HasSuffix(name, "path")
}

// resolve follows references within the document.
func (d *document) resolve(node any) (map[string]any, error) {
	for range 10 {
		ref, ok := object(node)["$ref"].(string)
		if !ok {
			return object(node), nil
		}
		pointer, local := strings.CutPrefix(ref, "#/")
		if !local {
			return nil, fmt.Errorf("$ref %q is in another file; put the files together first", ref)
		}
		node = d.root
		for part := range strings.SplitSeq(pointer, "/") {
			if p, err := url.PathUnescape(part); err == nil {
				part = p
			}
			node = object(node)[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		}
		if node == nil {
			return nil, fmt.Errorf("$ref %q: there is no such thing in the document", ref)
		}
	}
	return nil, errors.New("a $ref refers to itself")
}

// serverPath returns the path of the servers of an operation, of its path or of the document.
func (d *document) serverPath(item, op map[string]any) (string, error) {
	if d.root["swagger"] != nil {
		return text(d.root["basePath"]), nil
	}
	servers := list(op["servers"])
	if len(servers) == 0 {
		servers = list(item["servers"])
	}
	if len(servers) == 0 {
		servers = list(d.root["servers"])
	}
	var paths []string
	for _, entry := range servers {
		server := object(entry)
		address := text(server["url"])
		for name, variable := range object(server["variables"]) {
			address = strings.ReplaceAll(address, "{"+name+"}", text(object(variable)["default"]))
		}
		if _, rest, absolute := strings.Cut(address, "://"); absolute {
			_, path, _ := strings.Cut(rest, "/")
			address = "/" + path
		}
		if !strings.HasPrefix(address, "/") || strings.ContainsAny(address, "{}?#") {
			return "", fmt.Errorf("the path of the server %q is not known; name it with --prefix", text(server["url"]))
		}
		paths = append(paths, strings.TrimRight(address, "/"))
	}
	slices.Sort(paths)
	if paths = slices.Compact(paths); len(paths) > 1 {
		return "", fmt.Errorf("the servers have different paths (%s); choose one with --prefix", strings.Join(paths, ", "))
	}
	return strings.Join(paths, ""), nil
}

// What stands at a place of the document, or nothing if it is of another kind.
func object(v any) map[string]any { m, _ := v.(map[string]any); return m }
func list(v any) []any            { l, _ := v.([]any); return l }
func text(v any) string           { s, _ := v.(string); return s }
