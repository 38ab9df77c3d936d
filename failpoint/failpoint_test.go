package failpoint

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if hits := os.Getenv("FAILPOINT_TEST_HITS"); hits != "" {
		if err := Arm(os.Getenv(Variable), os.Stderr); err != nil {
			panic(err)
		}
		for range 3 {
			os.Stdout.WriteString("hit ")
			HitFrame("link.out.", "done")
			Hit("commit.before")
		}
		os.Exit(7)
	}
	os.Exit(m.Run())
}

// A process that is armed dies at the n-th hit of the point, not before, and says where.
func TestKillsAtTheNthHit(t *testing.T) {
	for _, c := range []struct {
		arm, says string
		hits      int
		killed    bool
	}{
		{"commit.before=2:kill", "failpoint commit.before: kill", 2, true},
		{"link.out.done=3:kill", "failpoint link.out.done: kill", 3, true},
		{"commit.before=4:kill,settle.after=1:kill", "", 3, false},
		{"", "", 3, false},
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "FAILPOINT_TEST_HITS=1", Variable+"="+c.arm)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		ended, ok := errors.AsType[*exec.ExitError](err)
		if !ok || (ended.ExitCode() == 7) == c.killed {
			t.Errorf("%q ended with %v", c.arm, err)
		}
		if n := strings.Count(out.String(), "hit "); n != c.hits {
			t.Errorf("%q lived for %d hits, want %d", c.arm, n, c.hits)
		}
		if strings.TrimSpace(errs.String()) != c.says {
			t.Errorf("%q said %q", c.arm, &errs)
		}
	}
}

func TestArmRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Cleanup(func() { _ = Arm("", io.Discard) })
	for value, want := range map[string]string{
		"commit=1:kill":             "commit.before",
		"link.out.nothing=1:kill":   "link.out.done",
		"link.out.=1:kill":          "link.out.done",
		"commit.before":             "commit.before=N:kill",
		"commit.before=0:kill":      "N from 1",
		"commit.before=x:kill":      "N from 1",
		"commit.before=1":           "kill and pause",
		"commit.before=1:explode":   "kill and pause",
		"commit.before=1:kill,,":    "there is no point \"\"",
		"commit.before=1:kill;lost": "kill and pause",
	} {
		if err := Arm(value, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", value, err)
		}
		if armed.Load() != nil {
			t.Errorf("%q is refused and yet armed", value)
		}
	}
	if err := Arm("commit.before=1:kill, agent.put=2:pause", io.Discard); err != nil {
		t.Error(err)
	}
}

// Every place in the sources is in the table, and every entry of the table is a place in the sources.
func TestTableFitsTheSources(t *testing.T) {
	found := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			of, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if of.Sel.Name != "Hit" && of.Sel.Name != "HitFrame" {
				return true
			}
			if pkg, ok := of.X.(*ast.Ident); !ok || pkg.Name != "failpoint" {
				return true
			}
			name, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: a point's name must be written out", path)
				return true
			}
			s, _ := strconv.Unquote(name.Value)
			found[s] = true
			if _, ok := Points[s]; !ok {
				t.Errorf("%s: point %q is not in the table", path, s)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for p := range Points {
		if !found[p] {
			t.Errorf("point %q is nowhere in the sources", p)
		}
	}
	if !slices.IsSorted(Names()) || len(Names()) < 50 {
		t.Errorf("the names are %q", Names())
	}
}

func BenchmarkHitUnarmed(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Hit("commit.before")
	}
}

func BenchmarkHitFrameUnarmed(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		HitFrame("link.in.", "text")
	}
}
