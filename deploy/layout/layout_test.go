package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rule says, for all packages under a prefix, what they may import directly of this module, and what must not be linked
// at all, however indirectly. Do not change this table to fix a build: it is the architecture.
//
//	        deploy          runs the binaries as a user would; imports no role package
//	       ╱       ╲
//	coordinator    participant      never link each other
//	    │   ╲        ╱   │
//	    │    protocol    │          the only meeting point of the two roles
//	    │       │        │
//	    │     crypto     │          leaf
//	    └──── models ────┘          leaf; the coordinator sees only models/{optim,pipeline,metrics}
type rule struct {
	prefix    string
	may       []string // prefixes within the module; its own prefix is always allowed
	only      []string // if set: the only imports from outside the module, beside the standard library
	neverLink []string
	notDirect []string // standard packages that must not be imported directly
}

var policy = []rule{
	{prefix: "tributary/crypto", only: []string{"golang.org/x/crypto", "github.com/tuneinsight/lattigo/v5"}},
	{prefix: "tributary/models", only: []string{"gonum.org/v1/gonum", "github.com/zeebo/xxh3"}},
	{prefix: "tributary/protocol", may: []string{"tributary/crypto"}, neverLink: []string{"tributary/models", "tributary/coordinator", "tributary/participant"}},
	{prefix: "tributary/protocol/round", may: []string{"tributary/crypto", "tributary/protocol"}, notDirect: []string{"net", "os", "time", "math/rand", "math/rand/v2"}},
	{prefix: "tributary/protocol/cmd/tributary-audit", may: []string{"tributary/crypto", "tributary/protocol"},
		neverLink: []string{"tributary/models", "google.golang.org/grpc", "modernc.org/sqlite", "net/http"}},
	{prefix: "tributary/coordinator", may: []string{"tributary/protocol", "tributary/crypto", "tributary/models/optim", "tributary/models/pipeline", "tributary/models/metrics"},
		neverLink: []string{"tributary/participant", "tributary/models/linear", "tributary/models/dataset", "gonum.org/v1/gonum"}},
	{prefix: "tributary/participant", may: []string{"tributary/protocol", "tributary/crypto", "tributary/models"}, neverLink: []string{"tributary/coordinator"}},
	{prefix: "tributary/deploy", may: []string{"tributary/protocol", "tributary/crypto", "tributary/models"}, neverLink: []string{"tributary/coordinator", "tributary/participant"}},
}

type listed struct {
	ImportPath   string
	Dir          string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
	GoFiles      []string
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Standard,Imports,Deps,GoFiles", "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	var all []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func under(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

func underAny(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return under(path, p) })
}

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && first != "tributary"
}

func TestImportPolicy(t *testing.T) {
	all := packages(t)
	if len(all) < 20 {
		t.Fatalf("only %d packages listed", len(all))
	}
	seen := map[string]bool{}
	for _, p := range all {
		for _, r := range policy {
			if !under(p.ImportPath, r.prefix) {
				continue
			}
			seen[r.prefix] = true
			for _, i := range p.Imports {
				switch {
				case under(i, "tributary"):
					if !under(i, r.prefix) && !underAny(i, r.may) {
						t.Errorf("%s imports %s; %s may import %v", p.ImportPath, i, r.prefix, r.may)
					}
				case standard(i):
					if slices.Contains(r.notDirect, i) {
						t.Errorf("%s imports %s, which %s must not", p.ImportPath, i, r.prefix)
					}
				case r.only != nil && !underAny(i, r.only):
					t.Errorf("%s imports %s; %s may import only %v", p.ImportPath, i, r.prefix, r.only)
				}
				if under(i, "github.com/tuneinsight/lattigo/v5") && !under(p.ImportPath, "tributary/crypto/secagg") {
					t.Errorf("%s imports %s: only crypto/secagg may", p.ImportPath, i)
				}
			}
			for _, d := range p.Deps {
				if underAny(d, r.neverLink) {
					t.Errorf("%s links %s, which %s must never", p.ImportPath, d, r.prefix)
				}
			}
		}
	}
	for _, r := range policy {
		if !seen[r.prefix] {
			t.Errorf("no package under %s: the policy checks nothing there", r.prefix)
		}
	}
}

func TestTopLevelIsTheHouse(t *testing.T) {
	allowed := []string{"coordinator", "participant", "protocol", "models", "crypto", "deploy", "docs", "go.mod", "go.sum", "Makefile", "README.md", "LICENSE", "SECURITY.md", "NEWS.md", "bin"}
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) && !strings.HasPrefix(e.Name(), "tributary-demo-") {
			t.Errorf("%s doesn't belong at the top level", e.Name())
		}
	}
}

func TestFilesAndNames(t *testing.T) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "misc", "base", "manager", "constants"}
	for _, p := range packages(t) {
		if slices.Contains(vague, filepath.Base(p.Dir)) {
			t.Errorf("%s: a name that says nothing", p.ImportPath)
		}
		for _, file := range p.GoFiles {
			data, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			text := string(data)
			if lines := strings.Count(text, "\n"); lines > 500 && !strings.Contains(text, "DO NOT EDIT") {
				t.Errorf("%s/%s has %d lines, at most 500", p.ImportPath, file, lines)
			}
			if strings.HasSuffix(file, "main.go") && strings.Count(text, "\n") > 60 {
				t.Errorf("%s/%s has more than 60 lines", p.ImportPath, file)
			}
		}
	}
}
