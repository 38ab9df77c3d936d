package nearest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Key says what was probably meant by a key of a YAML file that its struct does not have at that place: where it belongs, or which key is near;
// "" when neither is known. Groups of keys are structs, or lists of them.
func Key(key string, file reflect.Type) string {
	var known, groups []string
	walk(file, "", func(name, group string) {
		known = append(known, name)
		if name == key && !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	})
	switch {
	case slices.Contains(groups, ""):
		return "it belongs at the left edge, under no other key"
	case len(groups) > 0:
		return "it belongs under " + strings.Join(groups, " or ")
	}
	if near := Of(key, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// walk calls f for each key of a file with its group as it is written there, "" for the outermost.
func walk(t reflect.Type, group string, f func(name, group string)) {
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		f(name, group)
		inner := field.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			walk(inner, name+":", f)
		}
	}
}
