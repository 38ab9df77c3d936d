package fakediscord

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"potluck/bot/fakeserver"
)

// specification is Discord's own OpenAPI document, with what it leaves out checked besides.
type specification struct {
	doc map[string]any

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // by JSON pointer
}

// official reads the specification once per process; the error says in one line that it is not there.
var official = sync.OnceValues(func() (*specification, error) {
	b, err := fakeserver.Specification("discord-openapi.json")
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseRegexpEngine(lenientRegexp)
	if err := c.AddResource(specURL, doc); err != nil {
		return nil, err
	}
	return &specification{doc: doc.(map[string]any), compiler: c, schemas: make(map[string]*jsonschema.Schema)}, nil
})

const specURL = "https://discord.invalid/openapi.json"

// anything stands for a pattern that Go's regular expressions cannot say (look-ahead).
type anything string

func (anything) MatchString(string) bool { return true }
func (a anything) String() string        { return string(a) }

func lenientRegexp(s string) (jsonschema.Regexp, error) {
	re, err := regexp.Compile(s)
	if err != nil {
		return anything(s), nil
	}
	return re, nil
}

// operation finds the template of a path below the API's base: "/channels/1/messages" is "/channels/{channel_id}/messages".
func (s *specification) operation(method, path string) (template string, ok bool) {
	want := strings.Split(path, "/")
	best := -1
	for t, item := range s.doc["paths"].(map[string]any) {
		if _, has := item.(map[string]any)[strings.ToLower(method)]; !has {
			continue
		}
		parts := strings.Split(t, "/")
		if len(parts) != len(want) {
			continue
		}
		literal := 0
		for i := range parts {
			switch {
			case parts[i] == want[i]:
				literal++
			case !strings.HasPrefix(parts[i], "{") || want[i] == "":
				literal = -len(parts) * 2
			}
		}
		if literal >= 0 && literal > best {
			template, best = t, literal
		}
	}
	return template, best >= 0
}

// check tells what is wrong with a request; nil when Discord would take it.
func (s *specification) check(method, path string, query url.Values, body []byte) (wrong []string) {
	template, ok := s.operation(method, path)
	if !ok {
		return []string{"no such operation"}
	}
	item := s.doc["paths"].(map[string]any)[template].(map[string]any)
	op := item[strings.ToLower(method)].(map[string]any)
	wrong = append(wrong, s.checkQuery(item, op, query)...)
	request, _ := op["requestBody"].(map[string]any)
	content, _ := request["content"].(map[string]any)
	media, _ := content["application/json"].(map[string]any)
	if media == nil {
		if len(body) > 0 {
			wrong = append(wrong, "a body where none is taken")
		}
		return wrong
	}
	if len(body) == 0 {
		return append(wrong, "no body")
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return append(wrong, "body: "+err.Error())
	}
	numbers(value)
	pointer := "/paths/" + escapePointer(template) + "/" + strings.ToLower(method) + "/requestBody/content/application~1json/schema"
	schema, err := s.schema(pointer)
	if err != nil {
		return append(wrong, "schema: "+err.Error())
	}
	if err := schema.Validate(value); err != nil {
		wrong = append(wrong, err.Error())
	}
	wrong = append(wrong, s.unknownKeys(media["schema"], value, "")...)
	return append(wrong, lengths(value)...)
}

func (s *specification) checkQuery(item, op map[string]any, query url.Values) (wrong []string) {
	known := map[string]bool{}
	for _, from := range []map[string]any{item, op} {
		list, _ := from["parameters"].([]any)
		for _, p := range list {
			p := s.resolve(p)
			if p["in"] == "query" {
				known[fmt.Sprint(p["name"])] = true
			}
		}
	}
	for name := range query {
		if !known[name] {
			wrong = append(wrong, "unknown query parameter "+name)
		}
	}
	return wrong
}

func (s *specification) schema(pointer string) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.schemas[pointer]; known != nil {
		return known, nil
	}
	schema, err := s.compiler.Compile(specURL + "#" + pointer)
	if err == nil {
		s.schemas[pointer] = schema
	}
	return schema, err
}

func escapePointer(template string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "@", "%40").Replace(template)
}

func (s *specification) resolve(v any) map[string]any {
	m, _ := v.(map[string]any)
	for m != nil {
		ref, ok := m["$ref"].(string)
		if !ok {
			return m
		}
		at := any(s.doc)
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			at = at.(map[string]any)[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		}
		m, _ = at.(map[string]any)
	}
	return nil
}

// leaves lists the schemas without alternatives that a value may have to fulfil; those whose "type" key is another one are left out.
func (s *specification) leaves(schema any, value any) []map[string]any {
	m := s.resolve(schema)
	if m == nil {
		return nil
	}
	out := []map[string]any{m}
	for _, kind := range []string{"oneOf", "anyOf", "allOf"} {
		list, _ := m[kind].([]any)
		for _, alternative := range list {
			for _, leaf := range s.leaves(alternative, value) {
				if s.sameType(leaf, value) {
					out = append(out, leaf)
				}
			}
		}
	}
	return out
}

func (s *specification) sameType(leaf map[string]any, value any) bool {
	object, ok := value.(map[string]any)
	if !ok {
		return true
	}
	properties, _ := leaf["properties"].(map[string]any)
	of := s.resolve(properties["type"])
	allowed, _ := of["enum"].([]any)
	if len(allowed) == 0 || object["type"] == nil {
		return true
	}
	return slices.ContainsFunc(allowed, func(a any) bool { return fmt.Sprint(a) == fmt.Sprint(object["type"]) })
}

// unknownKeys names the keys that no schema knows: the official document lets all of them pass.
func (s *specification) unknownKeys(schema, value any, at string) (wrong []string) {
	leaves := s.leaves(schema, value)
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			var below []any
			for _, leaf := range leaves {
				if properties, _ := leaf["properties"].(map[string]any); properties[key] != nil {
					below = append(below, properties[key])
				} else if more, ok := leaf["additionalProperties"].(map[string]any); ok {
					below = append(below, more)
				}
			}
			if len(below) == 0 {
				wrong = append(wrong, "unknown key "+at+"/"+key)
				continue
			}
			wrong = append(wrong, s.unknownKeys(map[string]any{"anyOf": below}, v[key], at+"/"+key)...)
		}
	case []any:
		var items []any
		for _, leaf := range leaves {
			if leaf["items"] != nil {
				items = append(items, leaf["items"])
			}
		}
		for i, one := range v {
			wrong = append(wrong, s.unknownKeys(map[string]any{"anyOf": items}, one, at+"/"+strconv.Itoa(i))...)
		}
	}
	return wrong
}

// numbers mends what the document types as an integer while Discord takes (and asks for) a string of digits.
func numbers(v any) {
	switch v := v.(type) {
	case map[string]any:
		if s, ok := v["default_member_permissions"].(string); ok {
			v["default_member_permissions"] = json.Number(s)
		}
		for _, below := range v {
			numbers(below)
		}
	case []any:
		for _, below := range v {
			numbers(below)
		}
	}
}

// lengths checks what stands in Discord's documentation only.
func lengths(v any) (wrong []string) {
	switch v := v.(type) {
	case map[string]any:
		if s, ok := v["content"].(string); ok && len(utf16.Encode([]rune(s))) > 2000 {
			wrong = append(wrong, "content has more than 2000 characters")
		}
		for _, below := range v {
			wrong = append(wrong, lengths(below)...)
		}
	case []any:
		for _, below := range v {
			wrong = append(wrong, lengths(below)...)
		}
	}
	return wrong
}
