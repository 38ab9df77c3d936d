package fault

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// constants are the names of all Codes in this package's source.
func constants(t *testing.T) []string {
	file, err := parser.ParseFile(token.NewFileSet(), "fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Code" {
				names = append(names, spec.Names[0].Name)
			}
		}
		return true
	})
	return names
}

// raised are the names of this package that the program uses outside of tests.
func raised(t *testing.T) map[string]bool {
	names := make(map[string]bool)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if use, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := use.X.(*ast.Ident); ok && pkg.Name == "fault" {
					names[use.Sel.Name] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A Code that nothing raises has texts in four languages that nobody can ever read.
func TestEveryCodeIsRaisedAndListed(t *testing.T) {
	names, used := constants(t), raised(t)
	if len(names) != len(Codes()) {
		t.Errorf("%d Codes are declared, and Codes lists %d", len(names), len(Codes()))
	}
	for _, name := range names {
		if !used[name] {
			t.Errorf("nothing raises fault.%s", name)
		}
	}
	if double := len(Codes()) - len(slices.Compact(slices.Sorted(slices.Values(Codes())))); double != 0 {
		t.Errorf("Codes lists %d twice", double)
	}
}
