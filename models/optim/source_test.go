package optim

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// exact are the functions and constants of package math whose results are the same bits everywhere.
const exact = " Abs Sqrt Float64bits Float64frombits Float32bits Float32frombits IsNaN IsInf Inf Floor Trunc Frexp Ldexp Sqrt2 Signbit MaxFloat64 "

// The server step is the same bits on every architecture only if no product can be fused into an addition, which compilers may
// do across statements, too: each one is rounded by float64(). Only exact functions of package math are called, and nothing
// from outside the standard library and these packages.
// Reference: The Go Programming Language Specification, "Floating-point operators".
func TestServerStepHasNoFusableProduct(t *testing.T) {
	for _, dir := range []string{".", "../pipeline", "../metrics"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no sources (%v)", dir, err)
		}
		sources := map[string]string{}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sources[name] = string(text)
		}
		for _, problem := range scan(t, sources) {
			t.Error(problem)
		}
	}
}

// The scan finds what it is for.
func TestScanFindsFusableProducts(t *testing.T) {
	for body, bad := range map[string]bool{
		"a*b + c":                               true,
		"a + (b * c)":                           true,
		"-(a*b) - c":                            true,
		"a + b*c/2":                             false, // divided before it is added
		"float64(a*b) + c":                      false,
		"float64(float64(a*b)*c)":               false,
		"float64(i*j) + c":                      false,
		"a + float64(k(i*j))":                   false, // an integer
		"math.Exp(a)":                           true,
		"math.FMA(a, b, c)":                     true,
		"math.Sqrt(a)":                          false,
		"a + 2*3":                               false, // a constant
		"func() float64 { a *= b; return a }()": true,
		"func() float64 { x := a * b; return x }()":     true,
		"gonum.Sum(a) + b":                              true,
		"func() float64 { x := 2 * a; return x + b }()": true,
	} {
		imports := `import "math"`
		if strings.Contains(body, "gonum") {
			imports = `import gonum "gonum.org/v1/gonum/floats"`
		}
		src := "package p\n" + imports + "\nfunc k(i int) int { return i }\nfunc f(a, b, c float64, i, j int) float64 { _ = math.Abs; return " + body + " }\n"
		if got := len(scan(t, map[string]string{"p.go": src})) > 0; got != bad {
			t.Errorf("%s: reported %t, want %t", body, got, bad)
		}
	}
}

// noImports leaves imported types unknown: a product of unknown type counts as one of floats.
type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) { return nil, errors.New("not imported") }

func scan(t *testing.T, sources map[string]string) []string {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for name, text := range sources {
		f, err := parser.ParseFile(fset, name, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Importer: noImports{}, Error: func(error) {}}
	config.Check("p", fset, files, info) // errors about imports are expected
	var problems []string
	report := func(n ast.Node, format string, args ...any) {
		problems = append(problems, fset.Position(n.Pos()).String()+": "+fmt.Sprintf(format, args...))
	}
	rounded := func(e ast.Expr) bool {
		tv := info.Types[e]
		basic, ok := tv.Type.(*types.Basic)
		if !ok && tv.Type != nil {
			basic, ok = tv.Type.Underlying().(*types.Basic)
		}
		return tv.Value != nil || ok && basic.Info()&types.IsInteger != 0
	}
	for _, f := range files {
		for _, spec := range f.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			first, _, _ := strings.Cut(path, "/")
			if strings.Contains(first, ".") || first == "tributary" && path != "tributary/models/pipeline" && path != "tributary/models/metrics" {
				report(spec, "imports %s", path)
			}
		}
		var stack []ast.Node
		ast.Inspect(f, func(n ast.Node) bool {
			if n == nil {
				stack = stack[:len(stack)-1]
				return true
			}
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "math" && !strings.Contains(exact, " "+n.Sel.Name+" ") {
					report(n, "math.%s", n.Sel.Name)
				}
			case *ast.AssignStmt:
				if n.Tok == token.MUL_ASSIGN && !rounded(n.Lhs[0]) {
					report(n, "*= without float64()")
				}
			case *ast.BinaryExpr:
				if n.Op == token.MUL && !rounded(n) && !underConversion(stack) {
					report(n, "product without float64()")
				}
			}
			stack = append(stack, n)
			return true
		})
	}
	return problems
}

// underConversion tells whether the node below the stack is an operand of float64() or, as what can't be added before another
// operation, of a product or a quotient.
func underConversion(stack []ast.Node) bool {
	for i := len(stack) - 1; i >= 0; i-- {
		switch n := stack[i].(type) {
		case *ast.ParenExpr:
			continue
		case *ast.CallExpr:
			f, ok := n.Fun.(*ast.Ident)
			return ok && f.Name == "float64"
		case *ast.BinaryExpr:
			return n.Op == token.MUL || n.Op == token.QUO
		}
		return false
	}
	return false
}
