package fakebotapi

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"

	"potluck/bot/fakeserver"
)

// specification is the Bot API's description: methods and types with their fields. Limits stand in its sentences only.
type specification struct {
	Version string               `json:"version"`
	Methods map[string]*specType `json:"methods"`
	Types   map[string]*specType `json:"types"`
}

type specType struct {
	Name     string      `json:"name"`
	Fields   []specField `json:"fields"`
	Subtypes []string    `json:"subtypes"`
}

type specField struct {
	Name        string   `json:"name"`
	Types       []string `json:"types"`
	Required    bool     `json:"required"`
	Description string   `json:"description"`
}

// official reads the specification once per process; the error says in one line that it is not there.
var official = sync.OnceValues(func() (*specification, error) {
	b, err := fakeserver.Specification("telegram-bot-api.json")
	if err != nil {
		return nil, err
	}
	var s specification
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("calls are not checked against Telegram's specification: %w", err)
	}
	return &s, nil
})

// check tells what is wrong with a call: an unknown method or parameter, one that is missing, a wrong type, a length.
func (s *specification) check(method string, params map[string]any, files []string) error {
	m := s.Methods[method]
	if m == nil {
		return fmt.Errorf("no method %q in %s", method, s.Version)
	}
	used := make(map[string]bool)
	if err := s.fields(method, m, params, files, used); err != nil {
		return err
	}
	for _, f := range files {
		if _, isParam := params[f]; !used[f] && !isParam {
			return fmt.Errorf("%s: the uploaded file %q belongs to nothing", method, f)
		}
	}
	return nil
}

func (s *specification) fields(where string, t *specType, have map[string]any, files []string, used map[string]bool) error {
	known := make(map[string]specField, len(t.Fields))
	for _, f := range t.Fields {
		known[f.Name] = f
		if _, ok := have[f.Name]; f.Required && !ok && !slices.Contains(files, f.Name) {
			return fmt.Errorf("%s: %s is missing", where, f.Name)
		}
	}
	for name, v := range have {
		f, ok := known[name]
		if !ok {
			return fmt.Errorf("%s: unknown parameter %s", where, name)
		}
		if err := s.value(where+"."+name, f, v, files, used); err != nil {
			return err
		}
	}
	for _, name := range files {
		if f, ok := known[name]; ok && slices.Contains(f.Types, "InputFile") {
			used[name] = true
		}
	}
	return nil
}

// value accepts v when one of the field's types does.
func (s *specification) value(where string, f specField, v any, files []string, used map[string]bool) error {
	var first error
	for _, t := range f.Types {
		err := s.typed(where, t, f, v, files, used)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (s *specification) typed(where, t string, f specField, v any, files []string, used map[string]bool) error {
	if inner, ok := strings.CutPrefix(t, "Array of "); ok {
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%s is no array", where)
		}
		if low, high, ok := countOf(f.Description); ok && (len(list) < low || len(list) > high) {
			return fmt.Errorf("%s has %d items, %d to %d are possible", where, len(list), low, high)
		}
		for i, one := range list {
			plain := specField{Types: []string{inner}}
			if err := s.value(where+"["+strconv.Itoa(i)+"]", plain, one, files, used); err != nil {
				return err
			}
		}
		return nil
	}
	switch t {
	case "Integer":
		if n, ok := v.(json.Number); ok {
			if _, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
				return nil
			}
		}
		return fmt.Errorf("%s is no integer", where)
	case "Float":
		if _, ok := v.(json.Number); ok {
			return nil
		}
		return fmt.Errorf("%s is no number", where)
	case "Boolean", "True":
		if b, ok := v.(bool); ok && (b || t == "Boolean") {
			return nil
		}
		return fmt.Errorf("%s is no boolean", where)
	case "String":
		text, ok := v.(string)
		if !ok {
			return fmt.Errorf("%s is no string", where)
		}
		if name, ok := strings.CutPrefix(text, "attach://"); ok {
			if !slices.Contains(files, name) {
				return fmt.Errorf("%s names the file %q, which was not uploaded", where, name)
			}
			used[name] = true
		}
		return length(where, f.Description, text)
	case "InputFile":
		return fmt.Errorf("%s is no upload", where)
	}
	return s.object(where, t, v, files, used)
}

func (s *specification) object(where, t string, v any, files []string, used map[string]bool) error {
	have, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is no %s", where, t)
	}
	def := s.Types[t]
	if def == nil {
		return fmt.Errorf("%s: the specification has no type %s", where, t)
	}
	if len(def.Subtypes) == 0 {
		if t == "CopyTextButton" && have["text"] == "" {
			return nil // go-telegram/bot sends an empty one with each button; the server looks at it last
		}
		return s.fields(where+"("+t+")", def, have, files, used)
	}
	var first error
	for _, sub := range def.Subtypes {
		if kind, ok := have["type"].(string); ok && !s.isKind(sub, kind) {
			continue
		}
		err := s.object(where, sub, v, files, used)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = fmt.Errorf("%s is no known %s", where, t)
	}
	return first
}

var mustBe = regexp.MustCompile(`must be "?(\w+)"?`)

// isKind tells whether a subtype's "type" field must be kind.
func (s *specification) isKind(sub, kind string) bool {
	for _, f := range s.Types[sub].Fields {
		if f.Name == "type" {
			m := mustBe.FindStringSubmatch(f.Description)
			return m == nil || m[1] == kind
		}
	}
	return true
}

var (
	lengthRule = regexp.MustCompile(`(\d+)-(\d+) (characters|bytes|Bytes)`)
	countRule  = regexp.MustCompile(`(\d+)-(\d+) (?:items|identifiers)`)
	mostRule   = regexp.MustCompile(`(?:At most|No more than) (\d+) (?:commands|results)`)
)

// length checks what a sentence says of a text's length. Characters are counted as UTF-16 units, the strictest way to count them.
func length(where, sentence, text string) error {
	m := lengthRule.FindStringSubmatch(sentence)
	if m == nil {
		return nil
	}
	low, _ := strconv.Atoi(m[1])
	high, _ := strconv.Atoi(m[2])
	n := len(text)
	if m[3] == "characters" {
		n = len(utf16.Encode([]rune(text)))
	}
	if n < low || n > high {
		return fmt.Errorf("%s has %d %s, %d to %d are possible", where, n, m[3], low, high)
	}
	return nil
}

func countOf(sentence string) (low, high int, ok bool) {
	if m := countRule.FindStringSubmatch(sentence); m != nil {
		low, _ = strconv.Atoi(m[1])
		high, _ = strconv.Atoi(m[2])
		return low, high, true
	}
	if m := mostRule.FindStringSubmatch(sentence); m != nil {
		high, _ = strconv.Atoi(m[1])
		return 0, high, true
	}
	return 0, 0, false
}

// checkEntities tells what is wrong with entities over a text: they stand within it, split no character, and do not cross.
func checkEntities(text string, list []Entity) error {
	units := utf16.Encode([]rune(text))
	low := func(at int) bool { return at < len(units) && units[at] >= 0xDC00 && units[at] < 0xE000 }
	for i, e := range list {
		end := e.Offset + e.Length
		switch {
		case e.Offset < 0 || e.Length < 1 || end > len(units):
			return fmt.Errorf("entity %d (%s %d+%d) is outside the text of %d units", i, e.Type, e.Offset, e.Length, len(units))
		case low(e.Offset) || low(end):
			return fmt.Errorf("entity %d (%s) splits a character", i, e.Type)
		case !slices.Contains(entityTypes, e.Type):
			return fmt.Errorf("entity %d has the unknown type %q", i, e.Type)
		case e.Type == "text_link" && e.URL == "":
			return fmt.Errorf("entity %d is a link to nowhere", i)
		}
		for _, o := range list[:i] {
			oEnd := o.Offset + o.Length
			apart := oEnd <= e.Offset || end <= o.Offset
			within := o.Offset <= e.Offset && end <= oEnd || e.Offset <= o.Offset && oEnd <= end
			if !apart && !within {
				return fmt.Errorf("entity %d (%s) crosses a %s", i, e.Type, o.Type)
			}
			quotes := boolToInt(o.Type == "blockquote") + boolToInt(e.Type == "blockquote")
			if !apart && (quotes == 0 && (lonely(o.Type) || lonely(e.Type)) || quotes == 2) {
				return fmt.Errorf("a %s and a %s cannot stand over the same text", o.Type, e.Type)
			}
		}
	}
	return nil
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lonely: code holds no other entity and stands in none but quotes, which the server lets be.
func lonely(t string) bool { return t == "pre" || t == "code" }

var entityTypes = []string{
	"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bold", "italic", "underline", "strikethrough", "spoiler",
	"blockquote", "expandable_blockquote", "code", "pre", "text_link", "text_mention", "custom_emoji", "date_time",
}
